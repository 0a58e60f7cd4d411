package supervisor

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// traced collects what the loop tells of itself.
func traced(s *Supervisor) *[]TraceEvent {
	all := new([]TraceEvent)
	s.Trace = func(e TraceEvent) { *all = append(*all, e) }
	return all
}

func states(all []TraceEvent) (names []string) {
	for _, e := range all {
		if e.What == "state" {
			names = append(names, e.From+">"+e.State)
		}
	}
	return names
}

// TestTrace: a deaf job whose time is up goes down the ladder one rung at a time, and
// every step is told with what it needs to be understood.
func TestTrace(t *testing.T) {
	s, c := newScripted(t)
	all := traced(s)
	spec := c.shell("trap '' TERM; while :; do sleep 20; done")
	spec.Timeout, spec.Grace = 20*time.Millisecond, 20*time.Millisecond
	j := start(t, s, spec)
	s.Run()
	if got, want := states(*all), []string{"running>stopping", "stopping>killing", "killing>ended"}; !slices.Equal(got, want) {
		t.Errorf("states %q, want %q", got, want)
	}
	var what []string
	for _, e := range *all {
		if e.What == "reaped" && e.PID != j.PID() {
			continue // the sleep, which came to us
		}
		if what = append(what, e.What); e.Job != j.PID() {
			t.Errorf("%s: job %d, want %d", e.What, e.Job, j.PID())
		}
		if e.What == "reaped" && (e.Code != "killed" || e.Signal != "SIGKILL" || e.Status != nil) {
			t.Errorf("%+v", e)
		}
		if e.What == "state" && e.Cause != protocol.CauseTimeout {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{"start", "state", "state", "kill", "reaped", "state", "removed"}; !slices.Equal(what, want) {
		t.Errorf("%q, want %q", what, want)
	}
}

// TestTraceWords: what a child's status and a signal are called.
func TestTraceWords(t *testing.T) {
	s := &Supervisor{Forward: true}
	all := traced(s)
	s.traceStatus(nil, protocol.NewEvent(protocol.Exited, 5, 0, 3))
	s.traceStatus(&Job{main: 4}, protocol.NewEvent(protocol.Stopped, 5, 0, int(unix.SIGTSTP)))
	s.signal(signal(unix.SIGHUP, 9))
	s.End(protocol.CauseKilled, nil)
	got := *all
	if len(got) != 4 {
		t.Fatalf("%+v", got)
	}
	if e := got[0]; e.PID != 5 || e.Job != 0 || e.Code != "exited" || e.Status == nil || *e.Status != 3 || e.Signal != "" {
		t.Errorf("%+v", e)
	}
	if e := got[1]; e.Job != 4 || e.Code != "stopped" || e.Signal != "SIGTSTP" || e.Status != nil {
		t.Errorf("%+v", e)
	}
	if e := got[2]; e.What != "signal" || e.Signal != "SIGHUP" || e.PID != 9 {
		t.Errorf("%+v", e)
	}
	if e := got[3]; e.What != "end" || e.Cause != protocol.CauseKilled {
		t.Errorf("%+v", e)
	}
}
