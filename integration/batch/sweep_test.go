package batch

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// task is what a sweep runs: of twenty tasks one leaves a daemon, one hangs, one wants more memory than it may have, one fails.
const task = `#!/bin/sh
case $(($1 % 20)) in
0) (setsid sleep SLEEP >/dev/null 2>&1 &) ;;
1) trap '' TERM; sleep SLEEP & wait ;;
2) exec prlimit --as=100000000 dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null ;;
3) exit 3 ;;
esac
`

// outcomes are how those end, by the remainder; the others exit with 0.
var outcomes = map[int]string{1: "timeout", 2: "exited 1", 3: "exited 3"}

// TestSweep: the example of many tasks on three nodes. When some are done the daemons of a node are killed. Then all tasks have a
// record, of which a report can be made, and nothing is left. SWEEP_TASKS is how many they are.
func TestSweep(t *testing.T) {
	testbed.Program(t, "parallel")
	n := 60
	if text := os.Getenv("SWEEP_TASKS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	inCluster(t, []string{"--nodes", "3", "--conf", "SlurmdTimeout=5"}, "", func(s *site) {
		command := filepath.Join(s.dir, "task")
		if err := os.WriteFile(command, []byte(s.script(task)), 0o755); err != nil {
			s.t.Fatal(err)
		}
		example, err := filepath.Abs(testbed.Source("contrib", "slurm", "examples", "sweep"))
		if err != nil {
			s.t.Fatal(err)
		}
		path := "PATH=" + bin + ":" + os.Getenv("PATH")
		sbatch := []string{"env", path, "SWEEP_FLAGS=--timeout 1s --grace 0s", "sbatch", "--parsable", "--cpus-per-task=2", example, strconv.Itoa(n), command}
		s.job = s.run(s.recorded(sbatch)...).ok(s.t)
		s.waitTasks(n/4, n)
		s.killOne()
		s.waitTasks(n, n)
		s.gone()
		for i := range n {
			s.expectTask(i)
		}
		text := s.run("env", path, "supervise", "report", "--text", "records").ok(s.t)
		if !strings.HasPrefix(strings.ReplaceAll(text, ",", ""), fmt.Sprintf("%d jobs ", len(s.names()))) {
			s.t.Errorf("the report:\n%s", text)
		}
	})
}

// waitTasks waits until so many of n tasks have a record.
func (s *site) waitTasks(want, n int) {
	s.t.Helper()
	testbed.Eventually(s.t, patience, "the tasks", func() error {
		done := 0
		for i := range n {
			if _, err := os.Stat(filepath.Join(s.dir, "records", fmt.Sprintf("task-%d.json", i))); err == nil {
				done++
			}
		}
		if done < want {
			return fmt.Errorf("%d of %d are done", done, want)
		}
		return nil
	})
}

// killOne kills the daemons of a node on which a job of the array runs.
func (s *site) killOne() {
	s.t.Helper()
	testbed.Eventually(s.t, patience, "a job of the array", func() error {
		running := strings.Fields(s.run("squeue", "-h", "-j", s.job, "-t", "running", "-o", "%A %N").out)
		if len(running) < 2 {
			return fmt.Errorf("running: %q", running)
		}
		return killNode(running[1], running[0])
	})
}

// expectTask wants a record that says how a task ended.
func (s *site) expectTask(i int) {
	s.t.Helper()
	r := s.record(fmt.Sprintf("records/task-%d.json", i))
	got := r.Cause
	if r.Exit.Code != nil && *r.Exit.Code != 0 {
		got += fmt.Sprint(" ", *r.Exit.Code)
	}
	if want := cmp.Or(outcomes[i%20], "exited"); got != want {
		s.t.Errorf("task %d: %s, want %s", i, got, want)
	}
}

// TestSweepWords: the words of the command, and the path of the records, may have blanks and what is special to a shell.
func TestSweepWords(t *testing.T) {
	testbed.Program(t, "parallel")
	dir := filepath.Join(t.TempDir(), "a b")
	records := filepath.Join(dir, "rec ords")
	command := filepath.Join(dir, "my task")
	if err := os.MkdirAll(records, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(command, []byte("#!/bin/sh\necho \"[$1] $2\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	sweep := func(flags string) (string, error) {
		cmd := exec.Command("bash", testbed.Source("contrib", "slurm", "examples", "sweep"), "2", command, "a; b $HOME")
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SUPERVISE_RECORD_DIR="+records, "SWEEP_FLAGS="+flags,
			"SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_COUNT=1", "SLURM_CPUS_ON_NODE=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := sweep("--grace 1s echo"); err == nil || !strings.Contains(out, `"echo" among the flags is none`) {
		t.Errorf("a word that is no flag: %v: %s", err, out)
	}
	out, err := sweep("--timeout 1m --grace 1s")
	if want := "[a; b $HOME] 0\n[a; b $HOME] 1\n"; err != nil || out != want {
		t.Errorf("%v: %s", err, out)
	}
	for _, name := range []string{"task-0.json", "task-1.json"} {
		if _, err := os.Stat(filepath.Join(records, name)); err != nil {
			t.Error(err)
		}
	}
}
