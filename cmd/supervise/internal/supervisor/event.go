package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// An EventKind says what an Event tells.
type EventKind int

const (
	// StatusChanged tells of a status of a child: a job's main process, another that
	// Attribute found to be of Job, or, with a nil Job, one that it did not.
	StatusChanged EventKind = iota
	// JobEnded tells that nothing of Job is left; the loop has forgotten it.
	JobEnded
	// SignalArrived tells of a signal that was sent to this process.
	SignalArrived
	// BatchTold comes after the events of one round: what the front end keeps to send
	// goes out now, before what follows from it is done.
	BatchTold
)

// An Event is what the loop tells its front end, in the order in which it happened.
type Event struct {
	Kind   EventKind
	Job    *Job
	Status *protocol.Event  // of StatusChanged
	Usage  *unix.Rusage     // of StatusChanged, where the process has ended; valid during the call
	Record *protocol.Record // of JobEnded; the front end's from now on
	Signal signals.Signal   // of SignalArrived
}

func (s *Supervisor) batchTold() {
	if s.Tell != nil {
		s.Tell(Event{Kind: BatchTold})
	}
}
