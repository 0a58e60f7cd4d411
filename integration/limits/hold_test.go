package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMemoryMax: the job is killed as a whole, and says so; another job and its supervisor go on.
func TestMemoryMax(t *testing.T) {
	need(t)
	other := supervise(t, "run", "--", "sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	o := run(t, "--memory-max", "64M", "--", "sh", "-c", "sleep 1000 & dd if=/dev/zero of=/dev/null bs=256M count=1; sleep 1000")
	if o.code != 137 || o.Cause != "oom" || o.OOMKilled == nil || !*o.OOMKilled || o.OOM == nil || o.OOM.By != "job" {
		t.Errorf("status %d, cause %s, oom_killed %v, oom %+v", o.code, o.Cause, o.OOMKilled, o.OOM)
	}
	if e := o.Memory.Events; e == nil || *e.OOMKill < 3 { // sh, sleep, dd: memory.oom.group
		t.Errorf("events %+v", e)
	}
	if s := o.Memory.SwapPeakBytes; s != nil && *s != 0 {
		t.Errorf("it swapped %d", *s)
	}
	if *o.Memory.PeakBytes > 64*mib {
		t.Errorf("peak %d", *o.Memory.PeakBytes)
	}
	if err := unix.Kill(other.Process.Pid, 0); err != nil {
		t.Errorf("the other supervisor: %v", err)
	}
	other.Process.Signal(unix.SIGTERM)
	other.Wait()
}

// TestOOMKills: the number of processes that were killed is right, or null: where a group is killed the kernel's counter has
// more of them, or by chance as many.
func TestOOMKills(t *testing.T) {
	need(t)
	const grow = "dd if=/dev/zero of=/dev/null bs=256M count=1"
	for processes, script := range map[uint64]string{
		1:  "exec " + grow,
		2:  "sleep 1000 & exec " + grow,
		10: "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; exec " + grow,
	} {
		o := run(t, "--memory-max", "64M", "--", "sh", "-c", script)
		if o.OOM == nil || o.OOM.Kills == nil {
			if o.OOM == nil || processes == 1 {
				t.Errorf("%d processes were killed: %+v", processes, o.OOM)
			}
			continue
		}
		if *o.OOM.Kills != processes {
			t.Errorf("%d processes were killed, kills is %d", processes, *o.OOM.Kills)
		}
	}
}

// TestNoOOM: nothing was killed for want of memory, though the job was killed, and its child.
func TestNoOOM(t *testing.T) {
	need(t)
	for _, script := range []string{"true", "kill -KILL $$", "sleep 1000 & kill -KILL $!; wait $!"} {
		o := run(t, append([]string{"--memory-max", "64M"}, sh(script)...)...)
		if o.OOMKilled == nil || *o.OOMKilled || o.OOM != nil || o.Cause == "oom" {
			t.Errorf("%s: oom_killed %v, oom %+v, cause %s", script, o.OOMKilled, o.OOM, o.Cause)
		}
	}
}

// TestNoOOMGroup: with --oom-group no, who is killed is one process; the main process sees it.
func TestNoOOMGroup(t *testing.T) {
	need(t)
	o := run(t, "--memory-max", "64M", "--oom-group", "no", "--", "sh", "-c", "dd if=/dev/zero of=/dev/null bs=256M count=1; exit 3")
	if o.code != 3 || o.Cause != "exited" || o.OOM == nil || o.OOM.By != "job" || o.OOM.Kills == nil || *o.OOM.Kills != 1 {
		t.Errorf("status %d, cause %s, oom %+v", o.code, o.Cause, o.OOM)
	}
}

// TestOOMWhileWaiting: what is waited for does not come to its end; that the main process was told of one does not count.
func TestOOMWhileWaiting(t *testing.T) {
	need(t)
	const big = "dd if=/dev/zero of=/dev/null bs=256M count=1"
	const late = "m=$$; (while [ -e /proc/$m ]; do sleep 0.1; done; exec " + big + ") & exit 3"
	for _, tt := range []struct {
		script, cause string
		code          int
	}{{late, "oom", 137}, {big + "; sleep 1 & exit 3", "exited", 3}} {
		o := run(t, "--leftovers=wait", "--memory-max", "64M", "--oom-group", "no", "--", "sh", "-c", tt.script)
		if o.code != tt.code || o.Cause != tt.cause || o.OOM == nil || *o.OOM.Kills != 1 {
			t.Errorf("%s: status %d, cause %s, oom %+v", tt.script, o.code, o.Cause, o.OOM)
		}
	}
}

// TestAncestorOOM: the limit is that of the job around.
func TestAncestorOOM(t *testing.T) {
	need(t)
	inner := filepath.Join(t.TempDir(), "inner")
	bin := filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise")
	run(t, "--memory-max", "64M", "--oom-group", "no", "--", bin, "run", "--record", inner, "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1")
	b, err := os.ReadFile(inner)
	if err != nil || !strings.Contains(string(b), `"cause":"oom"`) || !strings.Contains(string(b), `"by":"ancestor"`) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestCPUs(t *testing.T) {
	need(t)
	o := run(t, append([]string{"--cpus", "0.5"}, work(t, "spin", "6000")...)...)
	used := *o.CPU.TotalS / o.WallS
	if used > 0.525 || used < 0.1 { // less than 0.5 is all that a busy machine may have for it
		t.Errorf("%.3f processors used", used)
	}
	if o.CPU.ThrottledPeriods == nil || *o.CPU.ThrottledPeriods == 0 || *o.CPU.ThrottledS == 0 {
		t.Errorf("throttled %+v", o.CPU)
	}
}

func TestCPUSet(t *testing.T) {
	need(t)
	o := run(t, append([]string{"-p", "AllowedCPUs=1"}, sh("grep Cpus_allowed_list /proc/self/status")...)...)
	if !strings.HasSuffix(o.out, "\t1\n") {
		t.Errorf("%q, stderr %q", o.out, o.err)
	}
}

// TestPidsMax: a fork that is refused is counted, and nothing is killed for it.
func TestPidsMax(t *testing.T) {
	need(t)
	o := run(t, append([]string{"--pids-max", "10"}, sh("for i in $(seq 40); do sleep 1000 & done; exit 5")...)...)
	isCount(t, "pids.peak", o.Pids.Peak, 10)
	if o.Pids.MaxHits == nil || *o.Pids.MaxHits == 0 {
		t.Errorf("hits %v", o.Pids.MaxHits)
	}
	if o.Cause != "exited" {
		t.Errorf("cause %s", o.Cause)
	}
}

func TestIOMax(t *testing.T) {
	need(t)
	file := filepath.Join("/var/tmp", fmt.Sprintf("limits-%d", os.Getpid()))
	defer os.Remove(file)
	start := time.Now()
	o := run(t, "--io-max", "/var/tmp,wbps=2M", "--", "dd", "if=/dev/zero", "of="+file, "bs=1M", "count=8", "oflag=direct")
	if o.code != 0 || o.WallS < 2.5 {
		t.Errorf("status %d, stderr %q: 8 MiB at 2 MiB/s took %v", o.code, o.err, time.Since(start))
	}
}

// TestCPUTimeout: the processor time of all processes.
func TestCPUTimeout(t *testing.T) {
	need(t)
	o := run(t, append([]string{"--cpu-timeout", "3s", "--signal", "KILL"}, work(t, "burn", "4", "60000")...)...)
	if o.code != 124 || o.Cause != "cpu-timeout" {
		t.Errorf("status %d, cause %s", o.code, o.Cause)
	}
	if used := o.CPU.TotalS; used == nil || *used < 3 || *used > 4 { // to within 1% of a machine that has time for us
		t.Errorf("cpu.total_s %v", used)
	}
}

// TestRefused: what the kernel does not take, and what is no file, is refused, and nothing was started.
func TestRefused(t *testing.T) {
	need(t)
	for _, flags := range [][]string{{"--set", "memory.nosuch=1"}, {"--cpuset", "4000"}, {"--set", "cpu.weight=100000"}} {
		o := run(t, append(flags, "--", "echo", "started")...)
		if o.code != 125 || o.out != "" || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, flags[1]) {
			t.Errorf("%q: status %d, stdout %q, stderr %q", flags, o.code, o.out, o.err)
		}
		o = run(t, append(append([]string{"--best-effort"}, flags...), "--", "echo", "started")...)
		if o.code != 0 || o.out != "started\n" || len(o.Unenforced) != 1 {
			t.Errorf("%q, with best effort: status %d, stdout %q, stderr %q, %+v", flags, o.code, o.out, o.err, o.Unenforced)
		}
	}
}
