package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A TraceEvent is one thing that the loop saw or did, for the reader of --trace. Job is
// the pid of a job's main process.
type TraceEvent struct {
	What   string         `json:"what"` // signal, reaped, request, start, state, kill, kill again, end, owner gone, removed
	Job    int            `json:"job,omitempty"`
	PID    int            `json:"pid,omitempty"`    // of the child that was reaped or signalled, or of the sender
	From   string         `json:"from,omitempty"`   // of state: the state before
	State  string         `json:"state,omitempty"`  // of state: the state now
	Signal string         `json:"signal,omitempty"` // of signal, request, and of a child that one ended or stopped
	Code   string         `json:"code,omitempty"`   // of reaped: exited, killed, dumped, stopped, trapped, continued
	Status *int           `json:"status,omitempty"` // of reaped, if it has exited
	Cause  protocol.Cause `json:"cause,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// trace costs a comparison where nothing is traced.
func (s *Supervisor) trace(e TraceEvent) {
	if s.Trace != nil {
		s.Trace(e)
	}
}

// traceSignal finds the name of a signal only if it is to be told.
func (s *Supervisor) traceSignal(what string, pid int, sig unix.Signal) {
	if s.Trace != nil {
		s.Trace(TraceEvent{What: what, PID: pid, Signal: signals.Name(sig)})
	}
}

func (s *Supervisor) traceStatus(of *Job, e *protocol.Event) {
	if s.Trace == nil {
		return
	}
	t := TraceEvent{What: "reaped", PID: e.PID(), Code: codeNames[e.Code()]}
	if of != nil {
		t.Job = of.main
	}
	if status := e.Status(); e.Code() == protocol.Exited {
		t.Status = &status
	} else {
		t.Signal = signals.Name(unix.Signal(status))
	}
	s.trace(t)
}

// codeNames are the words of waitid(2) without CLD_.
var codeNames = [...]string{
	protocol.Exited: "exited", protocol.Killed: "killed", protocol.Dumped: "dumped",
	protocol.Trapped: "trapped", protocol.Stopped: "stopped", protocol.Continued: "continued",
}

// stateNames are the words that SERVE.md has for the states, and the last, which it never
// tells.
var stateNames = [...]string{Running: "running", Waiting: "waiting", Stopping: "stopping", Killing: "killing", Ended: "ended"}

// String returns the state's name: running, waiting, stopping, killing or ended.
func (s State) String() string { return stateNames[s] }

// enter changes the state: see the diagram at the package.
func (j *Job) enter(to State) {
	j.s.trace(TraceEvent{What: "state", Job: j.main, From: j.state.String(), State: to.String(), Cause: j.cause})
	j.state = to
}
