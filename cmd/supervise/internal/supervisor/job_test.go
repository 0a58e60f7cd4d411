package supervisor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

var exited = protocol.NewEvent(protocol.Exited, 5, 0, 0)

// TestWaits: which jobs wait for the end of everything.
func TestWaits(t *testing.T) {
	childless := &Supervisor{childless: true}
	tests := []struct {
		name string
		j    Job
		want bool
	}{
		{"running", Job{main: 5}, false},
		{"killed, and not reaped", Job{main: 5, state: Killing}, false},
		{"reaped", Job{main: 5, exit: exited}, true},
		{"waiting", Job{main: 5, exit: exited, state: Waiting}, true},
		{"ended", Job{main: 5, exit: exited, state: Ended}, false},
		{"without a main process, and with children", Job{}, false},
		{"without a main process, killed", Job{state: Killing}, true},
		{"without a main process or children", Job{s: childless}, true},
		{"ended without a main process", Job{state: Ended, s: childless}, false},
	}
	for _, tt := range tests {
		if tt.j.s == nil {
			tt.j.s = &Supervisor{}
		}
		if got := tt.j.waits(); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// TestLook: what a look at the containment does to a job.
func TestLook(t *testing.T) {
	tests := []struct {
		name    string
		state   State
		running bool // the main process is
		empty   bool
		err     error
		waits   bool
		sees    bool // that it is empty
		kills   int
		watches int
		failed  bool
	}{
		{"the main process runs", Running, true, true, nil, false, false, 0, 0, false},
		{"empty", Running, false, true, nil, true, true, 0, 0, false},
		{"leftovers, which are decided about first", Running, false, false, nil, true, false, 0, 0, false},
		{"waiting", Waiting, false, false, nil, true, false, 0, 1, false},
		{"cannot be looked at", Waiting, false, false, errTest, false, false, 1, 0, true},
		{"lacks something", Waiting, false, false, unix.EMFILE, false, false, 1, 0, true},
		{"lacks something, and is killed already", Killing, false, false, unix.EMFILE, false, false, 0, 0, true},
	}
	for _, tt := range tests {
		watches := 0
		s := &Supervisor{watched: map[int]*Job{}, Watch: func(Containment) (Watcher, int, error) {
			watches++
			return nil, 0, nil
		}}
		c := &scripted{group: &group{t: t}, empty: func() (bool, error) { return tt.empty, tt.err }}
		j := &Job{Spec: Spec{Containment: c}, s: s, main: 5, exit: exited, state: tt.state, empty: true, place: -1}
		if tt.running {
			j.exit, j.main = nil, 1<<30
		}
		if waits := j.look(); waits != tt.waits || j.empty != tt.sees || c.killed != tt.kills || watches != tt.watches || (j.err != nil) != tt.failed {
			t.Errorf("%s: waits %t, empty %t, %d kills, %d watches, %v", tt.name, waits, j.empty, c.killed, watches, j.err)
		}
	}
}

// TestSettleEnded: a job that is in a batch twice ends once, at the time at which its
// counters were read.
func TestSettleEnded(t *testing.T) {
	s, c := newScripted(t)
	at := time.Now().Add(-time.Minute)
	j := &Job{Spec: Spec{Containment: c}, s: s, main: 5, exit: exited, state: Killing, empty: true, place: -1, ended: at}
	s.alive = 1
	j.settle()
	j.settle()
	if s.alive != 0 || !j.record.Ended.Equal(at) {
		t.Errorf("%d alive, ended at %v, want %v", s.alive, j.record.Ended, at)
	}
}

// TestSettleWaiting: a job that waits, or is being ended, has been decided about.
func TestSettleWaiting(t *testing.T) {
	for _, state := range []State{Waiting, Stopping, Killing} {
		c := &scripted{group: &group{t: t}}
		j := &Job{Spec: Spec{Containment: c}, s: &Supervisor{}, main: 5, exit: exited, state: state, place: -1}
		if j.settle(); j.state != state || c.killed != 0 {
			t.Errorf("%v: %v, %d kills", state, j.state, c.killed)
		}
	}
}
