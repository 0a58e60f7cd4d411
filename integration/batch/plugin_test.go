package batch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// needPlugin skips a test where there is no cluster whose Slurm has the plugin (integration/slurm --plugin).
func needPlugin(t *testing.T, tracks ...string) {
	t.Helper()
	needSlurm(t, tracks...)
	help, err := exec.Command("srun", "--help").CombinedOutput()
	if err == nil && !strings.Contains(string(help), "--supervise-flags") {
		err = fmt.Errorf("srun has no --supervise: integration/slurm --plugin")
	}
	testbed.Need(t, "the plugin of contrib/slurm", err)
}

// plugged is the command line of a step with the plugin, and of a shell script in it.
func (s *site) plugged(flags []string, script string) []string {
	return srun(append([]string{"--supervise"}, flags...), []string{"sh", "-c", s.script(script)})
}

// recorded has a command leave its records in the site's directory.
func (s *site) recorded(argv []string) []string {
	return append([]string{"env", "SUPERVISE_RECORD_DIR=" + filepath.Join(s.dir, "records")}, argv...)
}

// names lists the files of the site's directory of records.
func (s *site) names() (names []string) {
	entries, _ := os.ReadDir(filepath.Join(s.dir, "records"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// expectRecords wants the records of all these tasks, and no other.
func (s *site) expectRecords(want ...string) {
	s.t.Helper()
	for i := range want {
		want[i] += ".json"
	}
	slices.Sort(want)
	if got := s.names(); !slices.Equal(got, want) {
		s.t.Errorf("records %q, want %q", got, want)
	}
}

// TestPluginStep: srun --supervise returns when the main process has ended, with its status, and nothing is left.
func TestPluginStep(t *testing.T) {
	needPlugin(t)
	forEachUser(t, func(s *site) {
		o := s.run(s.plugged(nil, "(setsid sleep SLEEP &); "+daemon+"echo out; exit 3")...)
		s.nothingLeft()
		if o.code != 3 || o.out != "out\n" {
			t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
		}
	})
}

// noCgroup is what supervise may say below a slurmd that is a service of systemd.
var noCgroup = regexp.MustCompile(`(?m)^supervise: .*the job is held without a cgroup\n`)

// parent prints the name of the process that has started the script.
const parent = `tr '\0' '\n' </proc/$PPID/cmdline | head -n 1`

// TestPluginFlags: what has supervise hold a task, and with which flags.
func TestPluginFlags(t *testing.T) {
	needPlugin(t)
	tests := []struct {
		name   string
		flags  []string
		script string
		want   outcome // its error is a part of what is said
	}{
		{"none", nil, parent, outcome{out: "slurmstepd: "}},
		{"on", []string{"--supervise"}, parent, outcome{out: "supervise\n"}},
		{"off", []string{"--supervise", "--no-supervise"}, parent, outcome{out: "slurmstepd: "}},
		{"flags imply it", []string{"--supervise-flags=--grace 1s"}, parent, outcome{out: "supervise\n"}},
		{"flags", []string{"--supervise-flags=--leftovers=fail  --grace 1s"}, daemon, outcome{code: 125, err: "sleep"}},
		{"no such flag", []string{"--supervise-flags=--nonsense"}, parent, outcome{code: 2, err: "no flag --nonsense"}},
		{"a word that is no flag", []string{"--supervise-flags=--grace 1s echo"}, parent, outcome{code: 2, err: `"echo" among the flags is none`}},
		{"a command", []string{"--supervise-flags=-- echo"}, parent, outcome{code: 2, err: `"echo" among the flags is none`}},
		{"environment", []string{"--supervise"}, "env | grep ^SUPERVISE_TASK", outcome{code: 1, err: "exit code 1"}},
		{"limits of the caller", []string{"--supervise"}, "ulimit -n", outcome{out: "123\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				argv := []string{"prlimit", "--nofile=123:4096"}
				argv = append(append(argv, "srun", "--quiet"), append(tt.flags, "sh", "-c", s.script(tt.script))...)
				o := s.run(argv...)
				s.nothingLeft()
				o.err = noCgroup.ReplaceAllString(o.err, "")
				if o.code != tt.want.code || !strings.HasPrefix(o.out, tt.want.out) || !strings.Contains(o.err, tt.want.err) || (o.err == "") != (tt.want.err == "") {
					s.t.Errorf("%+v, want %+v", o, tt.want)
				}
			})
		})
	}
}

// TestPluginKilled: Slurm's log says of a supervise that was killed that there is no record. srun says so too if it hears of it in
// time: it lets go of the output of a task that SIGKILL has ended.
func TestPluginKilled(t *testing.T) {
	needPlugin(t)
	forEachUser(t, func(s *site) {
		script := `echo $SLURM_JOB_ID >job; kill -9 $(pgrep -o -f "^supervise run .*name=$SLURM_JOB_ID[.]0"); sleep SLEEP`
		if o := s.run(s.plugged(nil, script)...); o.code != 137 {
			s.t.Errorf("%+v", o)
		}
		job, err := os.ReadFile(filepath.Join(s.dir, "job"))
		if err != nil {
			s.t.Fatal(err)
		}
		want := fmt.Sprintf("[%s.0] error: supervise: task 0 has no record: its supervise was ended by signal 9", strings.TrimSpace(string(job)))
		testbed.Eventually(s.t, patience, "Slurm's log", func() error { return isLogged(want) })
		testbed.Eventually(s.t, patience, "processes", func() error { return isEmpty(s.processes()) })
	})
}

// isLogged says whether a line is in the log of a node.
func isLogged(line string) error {
	logs, err := filepath.Glob(filepath.Join(filepath.Dir(os.Getenv("SLURM_CONF")), "log", "n*"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), line) {
			return nil
		}
	}
	return fmt.Errorf("%q is in none of %q", line, logs)
}

// TestPluginProlog: what a prolog of the task sets is there, since supervise takes the place of the command and no more.
func TestPluginProlog(t *testing.T) {
	needPlugin(t)
	forEachUser(t, func(s *site) {
		prolog := filepath.Join(s.dir, "prolog")
		if err := os.WriteFile(prolog, []byte("#!/bin/sh\necho export SET=$SLURM_PROCID\necho print said\n"), 0o755); err != nil {
			s.t.Fatal(err)
		}
		o := s.run(s.plugged([]string{"--task-prolog=" + prolog}, "echo $SET")...)
		if o.code != 0 || o.out != "said\n0\n" || noCgroup.ReplaceAllString(o.err, "") != "" {
			s.t.Errorf("%+v", o)
		}
	})
}

// TestPluginMultiProg: tasks with a command each are refused; in their file supervise can be put before each.
func TestPluginMultiProg(t *testing.T) {
	needPlugin(t)
	forEachUser(t, func(s *site) {
		file := filepath.Join(s.dir, "tasks")
		if err := os.WriteFile(file, []byte("0 echo a\n1 echo b\n"), 0o644); err != nil {
			s.t.Fatal(err)
		}
		o := s.run("srun", "-n2", "--supervise", "--multi-prog", file)
		if o.code != 125 || o.out != "" || !strings.Contains(o.err, `put "supervise run --" before each command`) {
			s.t.Errorf("%+v", o)
		}
	})
}

// TestPluginRecords: each task of each step, the batch script's too, has a record in the directory that all share.
func TestPluginRecords(t *testing.T) {
	needPlugin(t)
	t.Run("step", func(t *testing.T) {
		t.Parallel()
		forEachUser(t, func(s *site) {
			o := s.run(s.recorded(s.plugged([]string{"-N2", "-n3"}, daemon+"echo $SLURM_JOB_ID; exit $SLURM_PROCID"))...)
			s.nothingLeft()
			job, _, _ := strings.Cut(o.out, "\n")
			s.expectRecords(job+".0.0", job+".0.1", job+".0.2")
			for task := range 3 {
				r := s.record(fmt.Sprintf("records/%s.0.%d.json", job, task))
				if r.Exit.Code == nil || *r.Exit.Code != task {
					s.t.Errorf("task %d: %+v", task, r.Exit)
				}
			}
		})
	})
	t.Run("array", func(t *testing.T) {
		t.Parallel()
		forEachUser(t, func(s *site) {
			script := s.script(daemon + "srun true; srun true")
			job := s.run(s.recorded([]string{"sbatch", "--supervise", "--parsable", "--wait", "--array=1-2", "-n2", "--output=/dev/null", "--wrap", script})...).ok(s.t)
			s.nothingLeft()
			var want []string
			for _, index := range []string{"1", "2"} {
				for _, task := range []string{"batch.0", "0.0", "0.1", "1.0", "1.1"} {
					want = append(want, job+"_"+index+"."+task)
				}
			}
			s.expectRecords(want...)
		})
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		forEachUser(t, func(s *site) {
			o := s.run("env", "SUPERVISE_RECORD_DIR="+s.dir+"/no/such", "srun", "--supervise", "echo", "started")
			if o.code != 125 || o.out != "" || !strings.Contains(o.err, "no such file or directory") {
				s.t.Errorf("%+v", o)
			}
		})
	})
}

// TestPluginCancel: scancel ends all tasks, also those that ignore SIGTERM, on all nodes.
func TestPluginCancel(t *testing.T) {
	needPlugin(t)
	for name, script := range map[string]string{"plain": daemon + sleeper, "stubborn": stubborn + daemon + sleeper} {
		for _, how := range []string{"srun", "sbatch"} {
			t.Run(how+" "+name, func(t *testing.T) {
				t.Parallel()
				forEachUser(t, func(s *site) {
					ready, n := s.expect(), 1
					if how == "srun" {
						n = 2
						c := s.command(s.recorded(s.plugged([]string{"-N2"}, script))...)
						if err := c.Start(); err != nil {
							s.t.Fatal(err)
						}
						defer c.Wait()
					} else {
						s.run(s.recorded([]string{"sbatch", "--quiet", "--supervise", "--output=/dev/null", "--wrap", s.script(script)})...).ok(s.t)
					}
					s.await(ready, n)
					s.cancel()
					s.gone()
					if got := s.names(); name == "plain" && len(got) != n {
						s.t.Errorf("records %q, want %d", got, n)
					}
				})
			})
		}
	}
}

// TestPluginSignal: the signal of --signal reaches the main process of the batch script, which has time to save.
func TestPluginSignal(t *testing.T) {
	needPlugin(t, "linuxproc")
	forEachUser(t, func(s *site) {
		script := s.script(daemon + "trap 'echo saved; exit 5' USR1; sleep SLEEP & wait")
		job := s.run(s.recorded([]string{"sbatch", "--supervise", "--parsable", "--time=1", "--signal=B:USR1@60", "--output=out", "--wrap", script})...).ok(s.t)
		name := "records/" + job + ".batch.0.json"
		testbed.Eventually(s.t, patience, "the record", func() error { _, err := os.Stat(filepath.Join(s.dir, name)); return err })
		if r := s.record(name); r.Exit.Code == nil || *r.Exit.Code != 5 {
			s.t.Errorf("%+v", r)
		}
		if out, _ := os.ReadFile(filepath.Join(s.dir, "out")); noCgroup.ReplaceAllString(string(out), "") != "saved\n" {
			s.t.Errorf("the job said %q", out)
		}
	})
}
