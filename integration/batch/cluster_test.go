package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// plugin makes the plugin, once, and returns the directory where it is.
var plugin = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("/tmp", "supervise-plugin-"); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	out, err := exec.Command("make", "-s", "-C", testbed.Source("contrib", "slurm"), "B="+dir).CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// ofOwn, in the environment, names the test that runs beside a cluster of its own.
const ofOwn = "SUPERVISE_CLUSTER_OF"

// inCluster runs a test beside a cluster of its own, in another process of this program: what it does to the nodes concerns no
// other. The arguments are integration/slurm's; behind them is what plugstack.conf says to the plugin.
func inCluster(t *testing.T, args []string, pluginArgs string, test func(s *site)) {
	t.Helper()
	switch {
	case os.Getenv(ofOwn) == t.Name():
		test(newSite(t, "tester"))
		return
	case os.Getenv("SUPERVISE_SLURM") != "":
		t.Skip("it has a cluster of its own: go test ./integration/batch, as root")
	case os.Getuid() != 0:
		t.Skip("a cluster needs root")
	}
	for _, program := range []string{"slurmctld", "slurmd", "munged", "srun", "make", "gcc"} {
		testbed.Program(t, program)
	}
	dir, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Minute)
	defer cancel()
	line := fmt.Sprintf("optional %s/supervise.so helper=%s/supervise-task program=%s/supervise %s", dir, dir, bin, pluginArgs)
	args = append(append(args, "--plugin", line, "--"), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	c := exec.CommandContext(ctx, testbed.Source("integration", "slurm"), args...)
	c.Env = append(os.Environ(), ofOwn+"="+t.Name(), "SUPERVISE_TEST_BIN="+bin)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// waitRecord waits for a record.
func (s *site) waitRecord(name string) record {
	s.t.Helper()
	testbed.Eventually(s.t, patience, "the record "+name, func() error {
		_, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			err = fmt.Errorf("%w; there are %q", err, s.names())
		}
		return err
	})
	return s.record(name)
}

// submit gives Slurm a batch script, waits until it says that it is ready, and returns the number of its job.
func (s *site) submit(ready *os.File, flags []string, script string) string {
	s.t.Helper()
	argv := append([]string{"sbatch", "--parsable", "--output=out"}, flags...)
	job := s.run(s.recorded(append(argv, "--wrap", s.script(script)))...).ok(s.t)
	if ready != nil {
		s.await(ready, 1)
	}
	return job
}

// TestDefault: plugstack.conf can have all jobs held, with flags and a directory of records for all. A user may say no.
func TestDefault(t *testing.T) {
	inCluster(t, []string{"--nodes", "1"}, "default flag=--leftovers=fail records=/tmp/records-of-"+strconv.Itoa(os.Getppid()), func(s *site) {
		if o := s.run(srun(nil, []string{"sh", "-c", s.script(daemon)})...); o.code != 125 || !strings.Contains(o.err, "sleep") {
			s.t.Errorf("a leftover: %+v", o)
		}
		s.nothingLeft()
		if out := s.run(srun([]string{"--no-supervise"}, []string{"sh", "-c", parent})...).ok(s.t); out != "slurmstepd: " && !strings.HasPrefix(out, "slurmstepd") {
			s.t.Errorf("--no-supervise: below %q", out)
		}
		dirs, _ := filepath.Glob("/tmp/records-of-*/1.0.0.json")
		if len(dirs) != 1 {
			s.t.Errorf("records %q", dirs)
		}
		for _, file := range dirs {
			os.RemoveAll(filepath.Dir(file))
		}
	})
}

// TestMissing: where supervise is not installed, a task that was to be held is not started.
func TestMissing(t *testing.T) {
	tests := []struct{ name, args, want string }{
		{"helper", "helper=/no/such", "/no/such: No such file or directory: install it on this node"},
		{"program", "program=/no/such", "/no/such: No such file or directory: install supervise on this node"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inCluster(t, []string{"--nodes", "1"}, tt.args, func(s *site) {
				if o := s.run("srun", "--supervise", "echo", "started"); o.code != 125 || o.out != "" || !strings.Contains(o.err, tt.want) {
					s.t.Errorf("%+v, want %q", o, tt.want)
				}
			})
		})
	}
	t.Run("word", func(t *testing.T) {
		inCluster(t, []string{"--nodes", "1"}, "nonsense", func(s *site) {
			if o := s.run("srun", "true"); !strings.Contains(o.err, `"nonsense" is none of`) {
				s.t.Errorf("%+v", o)
			}
		})
	})
}

// TestTimeLimit: at the end of its time a job that ignores SIGTERM has KillWait, and then nothing of it is left.
func TestTimeLimit(t *testing.T) {
	inCluster(t, []string{"--nodes", "1", "--conf", "KillWait=2"}, "", func(s *site) {
		s.job = s.submit(s.expect(), []string{"--supervise", "--time=1"}, stubborn+daemon+sleeper)
		s.gone()
	})
}

// preemption is the configuration of a cluster in which jobs of one partition have to give way to those of another.
func preemption(mode string) []string {
	return []string{
		"--nodes", "1", "--conf", "KillWait=2", "--conf", "PreemptType=preempt/partition_prio", "--conf", "PreemptMode=" + mode,
		"--conf", "PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1",
		"--conf", "PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9",
	}
}

// TestPreempted: a job that has to give way to another is gone when that runs.
func TestPreempted(t *testing.T) {
	for _, mode := range []string{"CANCEL", "REQUEUE"} {
		t.Run(mode, func(t *testing.T) {
			inCluster(t, preemption(mode), "", func(s *site) {
				low := s.submit(s.expect(), []string{"--supervise", "--partition=low", "--exclusive", "--requeue"},
					"[ -z \"$SLURM_RESTART_COUNT\" ] || exit 0; "+stubborn+daemon+sleeper)
				s.run("srun", "--quiet", "--partition=high", "--exclusive", "true").ok(s.t)
				s.nothingLeft()
				if mode == "REQUEUE" {
					if r := s.waitRecord("records/" + low + ".batch.0.r1.json"); r.Cause != "exited" {
						s.t.Errorf("the second run: %+v", r)
					}
				}
			})
		})
	}
}

// TestNodeKilled: the daemons of a node are killed. Nothing of the job is left there, its record says why, and Slurm runs it again on
// the other node.
func TestNodeKilled(t *testing.T) {
	args := []string{"--nodes", "2", "--conf", "SlurmdTimeout=5"}
	inCluster(t, args, "", func(s *site) {
		job := s.submit(s.expect(), []string{"--supervise", "--requeue"}, `[ -z "$SLURM_RESTART_COUNT" ] || exit 0; `+stubborn+daemon+sleeper)
		if err := killNode(s.nodes, job); err != nil {
			s.t.Fatal(err)
		}
		testbed.Eventually(s.t, patience, "processes", func() error { return isEmpty(s.processes()) })
		if r := s.waitRecord("records/" + job + ".batch.0.json"); r.Cause != "owner-gone" {
			s.t.Errorf("the first run: %+v", r)
		}
		if r := s.waitRecord("records/" + job + ".batch.0.r1.json"); r.Cause != "exited" {
			s.t.Errorf("the second run: %+v", r)
		}
	})
}

// killNode kills the daemons of a node: slurmd, and the slurmstepd of a job.
func killNode(node, job string) error {
	var killed int
	for pid, command := range testbed.Commands() {
		if !strings.HasPrefix(command, "slurmd -D -N "+node+" ") && !strings.HasPrefix(command, "slurmstepd: ["+job+".") {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return err
		}
		killed++
	}
	if killed < 2 {
		return errors.New("no daemons of " + node)
	}
	return nil
}
