package integration

import (
	"strings"
	"testing"
)

// TestCPUTimeout: two processes share the time, and a sleeping one uses none; the job ends when it is used up, and not much
// later.
func TestCPUTimeout(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	burn := sh(`sleep 1000 & (while :; do :; done) & while :; do :; done`)
	o := b.start(b.run(inCgroup, []string{"--cpu-timeout=1s", "--signal=KILL"}, burn...)).wait()
	o.wantCode(124)
	r := o.wantRecord(inCgroup, "cpu-timeout")
	used := *r.CPU.UserS + *r.CPU.SystemS
	t.Logf("used %.4f s", used)
	if used < 1 || used > 1.5 { // 10 ms are promised, of a machine that has time for us
		t.Errorf("used %v s of processor time, want 1", used)
	}
}

// TestCPUTimeoutNotReached: a job that does little is not ended, however long it takes.
func TestCPUTimeoutNotReached(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	o := b.start(b.run(inCgroup, []string{"--cpu-timeout=250ms"}, "sleep", "0.5")).wait()
	o.wantCode(0)
	o.wantRecord(inCgroup, "exited")
}

// TestCPUTimeoutFallback: what cannot be enforced is refused.
func TestCPUTimeoutFallback(t *testing.T) {
	b := newBox(t)
	o := b.start(b.unwritable(b.supervise([]string{"--cpu-timeout=1s"}, "echo", "started"))).wait()
	o.wantCode(125)
	if o.stdout != "" || !strings.Contains(o.stderr, "--cpu-timeout needs a cgroup") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}
