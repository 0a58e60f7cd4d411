package supervisor

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Endings that depend on what happens before the time is up: that is waited for
// before the loop begins, which looks at the clock.
const (
	deaf      = "timeout, deaf"                 // the job has closed its output
	waitedFor = "timeout of what is waited for" // the main process has ended
)

func TestEndings(t *testing.T) {
	tests := []struct {
		name   string
		script string
		set    func(*Spec)
		cause  protocol.Cause
		status int
		left   int
		kills  int
	}{
		{"exit", "exit 7", nil, protocol.CauseExited, 7, 0, 0},
		{"signal", "kill -KILL $$", nil, protocol.CauseSignaled, 9, 0, 0},
		{"leftovers", "sleep 100 & exit 3", nil, protocol.CauseExited, 3, 1, 1},
		{"leftovers, failing", "sleep 100 & exit 0", func(s *Spec) { s.Leftovers = protocol.LeftoversFail }, protocol.CauseExited, 0, 1, 1},
		{"leftovers, waited for", "exec 3>&-; (sleep 0.1; exit 0) & exit 0", func(s *Spec) { s.Leftovers = protocol.LeftoversWait }, protocol.CauseExited, 0, -1, 0},
		{"timeout", "exec sleep 100", func(s *Spec) { s.Timeout, s.Grace = 10*time.Millisecond, time.Minute }, protocol.CauseTimeout, 15, 0, 0},
		{deaf, "trap '' TERM; exec >&-; sleep 100 & wait", func(s *Spec) { s.Timeout, s.Grace = 10*time.Millisecond, 10*time.Millisecond }, protocol.CauseTimeout, 9, 0, 1},
		{"timeout, no grace", "exec sleep 100", func(s *Spec) { s.Timeout = 10 * time.Millisecond }, protocol.CauseTimeout, 9, 0, 1},
		{waitedFor, "sleep 100 & exit 0", func(s *Spec) { s.Leftovers, s.Timeout = protocol.LeftoversWait, 200*time.Millisecond }, protocol.CauseTimeout, 0, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, g := newTest(t)
			spec := shell(g, tt.script)
			if tt.set != nil {
				tt.set(&spec)
			}
			told, tell, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer told.Close()
			spec.Attr.Files[1] = tell.Fd()
			_, err = s.Start(spec)
			tell.Close()
			if err != nil {
				t.Fatal(err)
			}
			switch tt.name {
			case deaf:
				io.ReadAll(told)
			case waitedFor:
				waitid(unix.P_PID, g.leader, unix.WEXITED|unix.WNOWAIT, nil)
			}
			r := s.Run()[0]
			if r.Cause != tt.cause || status(r) != tt.status || *r.PID != g.leader {
				t.Errorf("cause %s, exit %d; job %d", r.Cause, status(r), *r.PID)
			}
			if tt.left >= 0 && *r.LeftoversTotal != tt.left || g.killed < tt.kills {
				t.Errorf("%d leftovers, %d kills", *r.LeftoversTotal, g.killed)
			}
			if r.Error != nil || r.Ended.Before(r.Started.Time) || r.Reaped == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// negligent is a containment whose first Kill misses a process.
type negligent struct{ *group }

func (n negligent) Kill() error {
	if n.killed++; n.killed == 1 {
		return nil
	}
	return n.Signal(unix.SIGKILL)
}

// TestKillAgain: who was missed is killed nevertheless.
func TestKillAgain(t *testing.T) {
	s, g := newTest(t)
	s.Sweep = func() error { return nil }
	spec := shell(g, "sleep 100 & exit 3")
	spec.Containment = negligent{g}
	if r := run(t, s, spec); g.killed != 2 || r.Error != nil || *r.LeftoversTotal != 1 {
		t.Errorf("killed %d times; %+v", g.killed, r)
	}
}

// A starved group is one that there are no descriptors for, some times.
type starved struct {
	*group
	times int
}

func (s *starved) lacks() bool {
	s.times--
	return s.times >= 0
}

func (s *starved) Empty() (bool, error) {
	if s.lacks() {
		return false, unix.EMFILE
	}
	return s.group.Empty()
}

func (s *starved) Kill() error {
	if s.lacks() {
		return unix.EMFILE
	}
	return s.group.Kill()
}

// TestStarved: a job that cannot be looked at is none that is empty; it is ended, as soon as that can be done.
func TestStarved(t *testing.T) {
	for _, leftovers := range []protocol.Leftovers{protocol.LeftoversKill, protocol.LeftoversWait} {
		s, g := newTest(t)
		s.Sweep = func() error { return nil }
		spec := shell(g, "sleep 100 & exit 3")
		spec.Containment, spec.Leftovers = &starved{g, 3}, leftovers
		r := run(t, s, spec)
		if status(r) != 3 || r.Error == nil || strings.Count(*r.Error, unix.EMFILE.Error()) != 1 {
			t.Errorf("%+v", r)
		}
		if pids, _ := g.Procs(); len(pids) > 0 {
			t.Errorf("%d live", pids)
			g.Kill()
		}
	}
}
