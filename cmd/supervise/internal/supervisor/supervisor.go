// Package supervisor is the core loop: it starts jobs, waits for their
// processes, tells the owner and ends what is left.
//
// One goroutine, the caller of Run, owns all state. Everything else only blocks
// and sends to it:
//
//	SIGCHLD ─────────────┐                       ┌─> events ──> owner
//	signals to us ───────┤                       │
//	requests <── owner ──┼──> Run: one select ───┼─> waitid, the only one
//	owner gone ──────────┤        over jobs      │
//	cgroup.events ───────┤                       ├─> containment: start, signal, kill
//	deadlines ───────────┘                       └─> record
//
// Backpressure: an event that the owner has not taken yet stops the reaping, not
// the loop. The kernel keeps the zombies and their statuses, so an owner that
// does not read costs no memory and loses nothing, and killing never waits for
// it.
//
// The states of a job:
//
//	          timeout            grace over
//	running ─────────> stopping ────────────> killing ──> ended
//	  │ │  owner gone, leftovers                 ^  ^       ^
//	  │ └────────────────────────────────────────┘  │       │ whenever the containment is
//	  │ main ended, --leftovers=wait        told to │       │ empty and the main process
//	  └────────────────────────> waiting ───────────┘       │ was reaped: sweep, account,
//	                                └───────────────────────┘ remove
package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// An Owner is whoever started us: the channels that lead to it. The zero value
// is an owner that neither asks nor listens, nor goes away.
type Owner struct {
	// Requests to send signals to children.
	Requests <-chan protocol.Request
	// Gone receives one value when the owner has: nil, or what it did wrong.
	Gone <-chan error
	// Events takes the status changes of all children, unbuffered.
	Events chan<- protocol.Event
	// Deaf is closed when nobody will read events any more.
	Deaf <-chan struct{}
}

// A Terminal shares the controlling terminal with the job.
type Terminal interface {
	// Suspend is called when the process group of pid was stopped by sig, and
	// returns when it may go on or somebody else is to continue it.
	Suspend(pid int, sig unix.Signal)
	// Resume is called after we were continued.
	Resume(pid int)
}

// A Supervisor runs jobs. Set the fields before Start.
type Supervisor struct {
	Owner    Owner
	Children <-chan struct{}    // a value for SIGCHLD, or for several
	Signals  <-chan unix.Signal // the others that were sent to us
	Forward  bool               // they go to the main processes; else each ends all jobs
	Terminal Terminal           // nil: none

	// Sweep ends descendants that are in no containment; it returns when all are dead.
	Sweep func() error
	// Watch asks for hints, on a channel that may be the same for all jobs, that
	// a containment may have become empty. It is called when one is waited for.
	Watch func(Containment) (<-chan int, error)

	jobs        map[int]*job // by pid of the main process; 0: the job without one
	undelivered *protocol.Event
	childless   bool // waitid said ECHILD
	reaped      int
	hints       <-chan int
	expired     chan *job
	done        chan struct{} // closed when Run returns, for timers that fire late
}

// Start runs a job's main process. Call it from the goroutine that calls Run.
// An error means that nothing was started; the containment stays the caller's.
func (s *Supervisor) Start(spec Spec) error {
	j := &job{Spec: spec, s: s, started: time.Now()}
	if spec.Path != "" {
		pid, err := spec.Containment.Start(spec.Path, spec.Argv, spec.Attr)
		if err != nil {
			return err
		}
		j.main = pid
	}
	if s.jobs == nil {
		s.jobs = map[int]*job{}
		s.expired, s.done = make(chan *job), make(chan struct{})
	}
	s.jobs[j.main] = j
	if spec.Timeout > 0 {
		j.deadline(spec.Timeout)
	}
	return nil
}

// Run returns when all jobs have ended and every event is delivered. The results
// are in the order of no particular kind.
func (s *Supervisor) Run() []Result {
	defer close(s.done)
	s.reap() // a child may have ended before anybody listened for SIGCHLD
	for s.busy() {
		var event protocol.Event
		var events chan<- protocol.Event // nil, which blocks, while there is nothing to deliver
		if s.undelivered != nil {
			events, event = s.Owner.Events, *s.undelivered
		}
		select {
		case <-s.Children:
			s.reap()
		case sig := <-s.Signals:
			s.signal(sig)
		case r := <-s.Owner.Requests:
			s.request(r)
		case err := <-s.Owner.Gone:
			s.Owner.Gone, s.Owner.Requests = nil, nil
			s.end(protocol.CauseOwnerGone, err)
		case events <- event:
			s.undelivered = nil
			s.reap()
		case <-s.Owner.Deaf:
			s.deafen()
		case _, open := <-s.hints:
			if !open {
				s.hints = nil
			}
			s.settle()
		case j := <-s.expired:
			j.expire()
		}
	}
	return s.results()
}

// deafen gives up delivering events.
func (s *Supervisor) deafen() {
	s.Owner.Deaf, s.Owner.Events, s.undelivered = nil, nil, nil
	s.reap()
}

func (s *Supervisor) allEnded() bool {
	for _, j := range s.jobs {
		if j.state != ended {
			return false
		}
	}
	return true
}

// busy says whether there is anything left to wait for. A process that cannot
// be ended is not waited for.
func (s *Supervisor) busy() bool {
	if !s.allEnded() {
		return true
	}
	stuck := false
	for _, j := range s.jobs {
		stuck = stuck || len(j.stuck) > 0
	}
	return s.undelivered != nil || !s.childless && !stuck
}

// reap takes statuses from the kernel for as long as they can be delivered.
func (s *Supervisor) reap() {
	for s.undelivered == nil {
		event, err := waitChild()
		if err != nil {
			s.childless = err == unix.ECHILD
			break
		}
		s.status(event)
	}
	s.settle()
}

// status handles one change of a child's status.
func (s *Supervisor) status(e *protocol.Event) {
	if s.Owner.Events != nil {
		s.undelivered = e
	}
	j := s.jobs[e.PID()]
	switch {
	case e.Code().Ended():
		s.reaped++
		if j != nil && j.main != 0 {
			j.exit = e // settle decides what follows, when all there is was reaped
		}
	case e.Code() == protocol.Stopped && j != nil && s.Terminal != nil:
		s.Terminal.Suspend(j.main, unix.Signal(e.Status()))
	}
}

// settle moves on every job whose containment has become empty.
func (s *Supervisor) settle() {
	for _, j := range s.jobs {
		j.settle()
	}
}

// signal handles a signal that was sent to us. If signals end all jobs, one that
// comes when all have ended means not to wait for a silent owner either.
func (s *Supervisor) signal(sig unix.Signal) {
	if !s.Forward {
		if s.allEnded() {
			s.deafen()
		}
		s.end(protocol.CauseKilled, nil)
		return
	}
	s.reap() // a signal for a process that is a zombie already would be lost
	for _, j := range s.jobs {
		j.forward(sig)
	}
}

// request sends a signal to an immediate child, living or zombie; any other
// process is none of the owner's. The pid is the child's for as long as we,
// the only ones who do, have not reaped it.
func (s *Supervisor) request(r protocol.Request) {
	if r.PID > 0 && isChild(int(r.PID)) {
		unix.Kill(int(r.PID), unix.Signal(r.Signal)) // EPERM, for a setuid child, is the owner's to see
	}
}

// end kills all jobs.
func (s *Supervisor) end(cause protocol.Cause, err error) {
	for _, j := range s.jobs {
		j.end(cause, err)
	}
}

func (s *Supervisor) results() []Result {
	var all []Result
	for _, j := range s.jobs {
		all = append(all, j.result())
	}
	return all
}
