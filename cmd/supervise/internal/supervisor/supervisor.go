// Package supervisor is the core loop: it starts jobs, waits for their
// processes, tells the owner and ends what is left.
//
// One goroutine, the caller of Run, owns all state and does everything. It
// sleeps in one place, poll(2), so that whatever happens costs one wake-up:
//
//	signals to us, SIGCHLD ──┐           ┌─> waitid, the only one ──> events ──> owner
//	requests, owner gone ────┼─> poll ───┼─> containment: start, signal, kill
//	cgroup.events ───────────┤   │       │
//	owner can take events ───┘   │       └─> record
//	                          deadlines
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

// Signals are those sent to this process: see package signals.
type Signals interface {
	FD() int        // readable when there are any
	Read() []Signal // takes some of them, without waiting
}

// A Signal is one that was sent to this process.
type Signal struct {
	unix.Signal
	From int // pid of the sender; 0: the kernel, or outside our pid namespace
}

// A Watcher gives hints that containments may have become empty.
type Watcher interface {
	FD() int     // readable when there are any
	Read() []int // takes some of them, without waiting
}

// A Terminal shares the controlling terminal with the job.
type Terminal interface {
	// Suspend is called when the process group of pid was stopped by sig, and
	// returns when it may go on or somebody else is to continue it.
	Suspend(pid int, sig unix.Signal)
	// Resume is called after we were continued.
	Resume(pid int)
}

// An Input is a descriptor that somebody else reads.
type Input struct {
	FD   int
	Read func() (more bool) // called when there is something to read, or the end
}

// A Supervisor runs jobs. Set the fields before Start.
type Supervisor struct {
	Owner    *Owner   // nil: none
	Signals  Signals  // nil: none
	Forward  bool     // they go to the main processes; else each ends all jobs
	Terminal Terminal // nil: none

	// Sweep ends descendants that are in no containment; it returns when all are dead.
	Sweep func() error
	// Strays lists the live descendants; it is asked when a containment is empty. Nil:
	// nobody wants to know.
	Strays func() ([]int, error)
	// Watch asks for hints about a containment, all by the same watcher. It is
	// called when the end of one is waited for; nil: there are none.
	Watch func(Containment) (Watcher, error)
	// Inputs are what else is to be read.
	Inputs []Input
	// IsManager says whether a process is the service manager, which stops us.
	IsManager func(pid int) bool
	// Idle is called once, when nothing has happened for idleAfter.
	Idle func()

	chores    map[int]func(over bool)
	jobs      map[int]*job // by pid of the main process; 0: the job without one
	childless bool         // waitid said ECHILD
	reaped    int
	usage     unix.Rusage // of the child that was reaped last
	watcher   Watcher
	idled     bool
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
	}
	s.jobs[j.main] = j
	j.deadline(spec.Timeout)
	j.meterCPU()
	j.sample()
	return nil
}

// Run returns when all jobs have ended and every event is delivered. The results
// are in the order of no particular kind.
func (s *Supervisor) Run() []Result {
	if s.Owner != nil {
		s.Owner.open()
	}
	s.reap() // a child may have ended before anybody listened for SIGCHLD
	for s.busy() {
		happened := s.wait()
		if happened.signals {
			for _, sig := range s.Signals.Read() {
				s.signal(sig)
			}
			s.reap()
		}
		if happened.requests {
			requests, err := s.Owner.read()
			for _, r := range requests {
				s.request(r)
			}
			if s.Owner.gone {
				s.ownerGone(err)
			}
		}
		if happened.writable && s.Owner.flush() {
			s.reap()
		}
		if happened.hints {
			s.watcher.Read()
			s.settle()
		}
		s.readInputs(happened.inputs)
		s.expire()
	}
	return s.results()
}

// Chore says that a child is ours, and not the job's: of its end done is told,
// and nobody else. Over says that no job runs any more.
func (s *Supervisor) Chore(pid int, done func(over bool)) {
	if s.chores == nil {
		s.chores = map[int]func(bool){}
	}
	s.chores[pid] = done
}

// readInputs has the inputs that are ready read, and forgets those at their end.
func (s *Supervisor) readInputs(ready []bool) {
	var open []Input
	for i, in := range s.Inputs {
		if !ready[i] || in.Read() {
			open = append(open, in)
		}
	}
	s.Inputs = open
}

// ownerGone ends all jobs, whose owner has gone; err is what it did wrong.
func (s *Supervisor) ownerGone(err error) {
	if s.Owner.Gone != nil {
		s.Owner.Gone()
		return
	}
	s.end(protocol.CauseOwnerGone, err)
}

// deafen gives up delivering events.
func (s *Supervisor) deafen() {
	if s.Owner != nil {
		s.Owner.deafen()
	}
	s.reap()
}

func (s *Supervisor) anyRuns() bool {
	for _, j := range s.jobs {
		if j.state == running {
			return true
		}
	}
	return false
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
	return s.undelivered() || !s.childless && !stuck
}

// undelivered says whether an event waits for the owner to take it.
func (s *Supervisor) undelivered() bool { return s.Owner != nil && s.Owner.undelivered() }

// reap takes statuses and does what follows.
func (s *Supervisor) reap() {
	s.collect()
	s.settle()
}

// collect takes statuses from the kernel for as long as they can be delivered.
func (s *Supervisor) collect() {
	for !s.undelivered() {
		event, err := waitChild(&s.usage)
		if err != nil {
			s.childless = err == unix.ECHILD
			return
		}
		s.status(event)
	}
}

// CollectDead is collect for ends alone: not to be told of children that we stop
// ourselves.
func (s *Supervisor) CollectDead() {
	for !s.undelivered() {
		event, err := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG, &s.usage)
		if err != nil || event.PID() == 0 {
			return
		}
		s.status(event)
	}
}

// status handles one change of a child's status.
func (s *Supervisor) status(e *protocol.Event) {
	if done := s.chores[e.PID()]; done != nil {
		if e.Code().Ended() {
			delete(s.chores, e.PID())
			done(!s.anyRuns())
		}
		return
	}
	if s.Owner != nil {
		s.Owner.tell(e)
	}
	j := s.jobs[e.PID()]
	switch {
	case e.Code().Ended():
		s.reaped++
		if j != nil && j.main != 0 {
			j.exit, j.res.Main = e, s.usage // settle decides what follows, when all there is was reaped
		}
	case e.Code() == protocol.Stopped && j != nil && s.Terminal != nil:
		s.Terminal.Suspend(j.main, unix.Signal(e.Status()))
	}
}

// settle moves on every job whose containment has become empty.
func (s *Supervisor) settle() {
	for before := -1; before != s.reaped; { // the end of one may collect what another waits for
		before = s.reaped
		for _, j := range s.jobs {
			j.settle()
		}
	}
}

// signal handles a signal that was sent to us. If signals end all jobs, one that
// comes when all have ended means not to wait for a silent owner either.
func (s *Supervisor) signal(sig Signal) {
	if sig.Signal == unix.SIGCHLD {
		return // the caller reaps, whatever it was
	}
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
