package supervisor

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestIdle: the first pause is told, and once more after many jobs.
func TestIdle(t *testing.T) {
	s, g := newTest(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	times := 0
	s.Idle = func() {
		switch times++; times {
		case 1:
			s.starts = idleStarts - 1
			w.Close()
		case 2:
			g.Signal(unix.SIGTERM)
		default:
			t.Error("told of every pause")
		}
	}
	s.Inputs = []Input{{FD: int(r.Fd()), Read: func() bool {
		start(t, s, shell(&group{t: t}, "exit 0"))
		return false
	}}}
	start(t, s, shell(g, "exec sleep 20"))
	if s.Run(); times != 2 {
		t.Errorf("%d pauses", times)
	}
}

// TestTimeout is how long the loop sleeps.
func TestTimeout(t *testing.T) {
	s := &Supervisor{}
	if s.timeout() != nil {
		t.Error("not for ever, though there is no deadline")
	}
	s.Idle = func() {}
	if d := time.Duration(s.timeout().Nano()); d != idleAfter {
		t.Errorf("%v, not until the pause", d)
	}
	j := &Job{s: s, place: -1}
	j.deadline(idleAfter / 2)
	if d := time.Duration(s.timeout().Nano()); d > idleAfter/2 || d <= 0 {
		t.Errorf("%v, not until the deadline", d)
	}
	j.deadline(time.Hour)
	if d := time.Duration(s.timeout().Nano()); d != idleAfter {
		t.Errorf("%v, not until the pause before the deadline", d)
	}
	s.idled = true
	if d := time.Duration(s.timeout().Nano()); d < time.Hour-time.Minute {
		t.Errorf("%v: the pause was told", d)
	}
	j.deadline(time.Nanosecond)
	for time.Now().Before(j.next) {
	}
	if d := s.timeout().Nano(); d != 0 {
		t.Errorf("%d ns, though the deadline has passed", d)
	}
	j.deadline(time.Hour)
	s.held = true
	if d := s.timeout().Nano(); d != 0 {
		t.Errorf("%d ns, though there are statuses to take", d)
	}
	s.Blocked = func() bool { return true }
	if d := time.Duration(s.timeout().Nano()); d < time.Hour-time.Minute {
		t.Errorf("%v: those statuses cannot be taken", d)
	}
}

// TestNoPause: neither a look at statuses that are left nor a deadline after the first
// pause is a pause.
func TestNoPause(t *testing.T) {
	s := &Supervisor{held: true, Idle: func() { t.Error("a pause") }}
	s.wait()
	s.held, s.idled = false, true
	j := &Job{s: s, place: -1}
	j.deadline(time.Nanosecond)
	s.wait()
	s.Idle = nil
	s.idled = false
	if s.idle(); !s.idled {
		t.Error("the pause will be told again")
	}
}
