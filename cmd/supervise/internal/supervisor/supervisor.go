// Package supervisor is the core loop: it starts jobs, waits for their
// processes, tells the owner and ends what is left.
//
// One goroutine, the caller of Run, owns all state and does everything. It
// sleeps in one place, poll(2), so that whatever happens costs one wake-up:
//
//	signals to us, SIGCHLD ──┐           ┌─> waitid (wait.go) ────────> events ──> owner
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
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A Watcher gives hints that containments may have become empty.
type Watcher interface {
	FD() int     // readable when there are any
	Read() []int // takes some of them, without waiting
}

// A Terminal shares the controlling terminal with the job.
type Terminal interface {
	// Suspend is called when the process group of pid was stopped by sig, and
	// returns when it may go on, or when its stopper is to continue it.
	Suspend(pid int, sig unix.Signal)
	// Resume is called after we were continued.
	Resume(pid int)
	// Reached says whether a signal that came to us has reached pid as well, so that it is
	// not handed on.
	Reached(pid int, s signals.Signal) bool
}

// An Input is a descriptor that the front end reads, or writes.
type Input struct {
	FD     int
	Read   func() (more bool) // called when there is something to read, or the end
	Events func() int16       // what is waited for now; nil: POLLIN
}

func (i Input) events() int16 {
	if i.Events == nil {
		return unix.POLLIN
	}
	return i.Events()
}

// A Supervisor runs jobs. Set the fields before Start.
type Supervisor struct {
	Owner    *Owner           // nil: none
	Signals  *signals.Caught  // those sent to this process; nil: none are caught
	Forward  bool             // they go to the main processes; else each ends all jobs
	Terminal Terminal         // nil: none
	Early    []signals.Signal // came to us before there was a main process

	// Tell, if not nil, is the front end of many jobs, which is told of all that happens,
	// and decides what a signal to this process means. Without one, Run returns the
	// records of the jobs.
	Tell func(Event)
	// Heard, if not nil, is called for each signal to this process that is about to be
	// forwarded; there may be no main process any more to take it.
	Heard func(signals.Signal)
	// Trace, if not nil, is called for each thing that the loop sees or does.
	Trace func(TraceEvent)

	// Sweep ends descendants that are in no containment; it returns when all are dead.
	Sweep func() error
	// Strays lists the live descendants; it is called when the containment of the last job
	// is empty. Nil: processes that left a containment are swept up, and not listed.
	Strays func() ([]int, error)
	// Spare has Sweep, Strays and the containments leave out a child that is no job's, or no
	// more; nil: they need not.
	Spare func(pid int, is bool)
	// Watch asks for hints about a containment, all by the same watcher, which knows it
	// by the key. It is called when the end of one is waited for; nil: there are none.
	Watch func(Containment) (w Watcher, key int, err error)
	// NoChildren says whether no child is left that is not a chore. It is asked only where
	// a chore may outlive the jobs, which waitid(2) cannot tell from a child of a job; nil:
	// none does.
	NoChildren func() bool
	// Foster, if not nil, is the twin that the processes of the one job are below, and reaps
	// for us.
	Foster *guardian.Foster
	// Still stops what may be a fork bomb; nil: nothing does.
	Still func()
	// Inputs are what else is to be read.
	Inputs []Input
	// IsManager says whether a process is the service manager, which stops us.
	IsManager func(pid int) bool
	// Stopped, if not nil, is called when the service manager stops the unit that this process
	// is in, before anything ends for it.
	Stopped func()
	// Whole says that a request for pid -1 is for every process of every job.
	Whole bool
	// Idle is called when nothing has happened for idleAfter: once, and once more after
	// every idleStarts jobs.
	Idle func()

	Serving

	chores    map[int]func(over bool)
	jobs      map[int]*Job // by pid of the main process; 0: the job without one
	alive     int          // how many of them have not ended
	starts    int          // of jobs
	touched   []*Job       // to be settled
	alarms    alarms
	polled    polled
	childless bool  // waitid said ECHILD
	held      bool  // statuses are left to the kernel
	quiet     bool  // there was no SIGCHLD since waitid said that there is nothing
	hints     []int // pids of which SIGCHLD told
	reaped    int
	usage     unix.Rusage // of the child that was reaped last
	used      usedTime    // by all that were reaped
	peak      int64       // our memory's, in KiB, when it was last looked at
	watcher   Watcher
	watched   map[int]*Job // by the watcher's key
	idled     bool
	killed    bool // KillAll was called just now
	halves    halves
	hanging   []*guardian.Reader
}

// Serving is what the loop asks of a front end that starts jobs while others run, from
// the goroutine of Run. All may be nil.
type Serving struct {
	// More says that jobs may yet be started, so that Run goes on without any.
	More func() bool
	// Blocked says that what was told is not taken: see Backpressure.
	Blocked func() bool
	// Attribute finds the job of a child that has ended and is no main process.
	Attribute func(pid int) *Job
	// Strayed says of which of some jobs, whose containments are empty, processes live on
	// outside. From then on the containment is not empty before they have ended.
	Strayed func([]*Job) []bool
	// Unreaped says of which jobs, at least of these, which are empty, there are children
	// whose end is to be told before the job's: a process leaves its cgroup before it can
	// be waited for (cgroup_exit and exit_notify in the kernel's do_exit).
	Unreaped func([]*Job) map[*Job]bool
	// Account is given many jobs that are empty and will be closed at once, to read their
	// counters together.
	Account func([]*Job)
	// KillAll kills what is in any containment, in one go.
	KillAll func() error
}

// Start runs a job's main process. Call it from the goroutine that calls Run.
// An error means that nothing was started; the containment stays the caller's.
func (s *Supervisor) Start(spec Spec) (*Job, error) {
	j := &Job{Spec: spec, s: s, started: time.Now(), place: -1}
	if spec.Path != "" {
		pid, err := spec.Containment.Start(spec.Path, spec.Argv, spec.Attr)
		if err != nil {
			return nil, err
		}
		j.main = pid
	}
	j.Argv, j.Attr = nil, nil // a job that sleeps is to be small
	s.trace(TraceEvent{What: "start", Job: j.main})
	if s.jobs == nil {
		s.jobs, s.watched = map[int]*Job{}, map[int]*Job{}
	}
	s.jobs[j.main], s.childless = j, false
	s.alive++
	if s.starts++; s.starts%idleStarts == 0 {
		s.idled = false
	}
	j.deadline(spec.Timeout)
	j.meterCPU()
	j.sample()
	return j, nil
}

// StartProgram is Start, but takes a file that is executable and of no known format for a
// shell script, as execvp(3) does.
func (s *Supervisor) StartProgram(spec Spec) (*Job, error) {
	j, err := s.Start(spec)
	if err == unix.ENOEXEC {
		j, err = s.Start(spec.Script())
	}
	return j, err
}

// Run returns when all jobs have ended and every event is delivered: the records of the
// jobs, in no particular order, or none if there is a front end, which was told them.
func (s *Supervisor) Run() []*protocol.Record {
	if s.Owner != nil {
		s.Owner.open()
	}
	// Before the end of a child: the service manager stops this process, and then the child.
	for _, sig := range s.Early {
		s.signal(sig)
	}
	s.readSignals()
	if s.Foster == nil || s.Foster.Noticed() {
		s.reap() // a child may have ended before SIGCHLD was caught
	}
	for s.busy() {
		happened := s.wait()
		if happened.signals || happened.children {
			s.readSignals()
		}
		if happened.children {
			s.still()
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
			s.hinted(s.watcher.Read())
		}
		s.readInputs(happened.inputs)
		s.expire()
		if s.unreaped() {
			s.reap()
		}
		s.settle()
	}
	s.buryAll()
	if s.Owner != nil && s.childless {
		s.Owner.close()
	}
	return s.records()
}

// Chore says that a child is the supervisor's, and no job's: its end is reported to done,
// and neither to the owner nor to the front end. Over says that no job runs any more.
func (s *Supervisor) Chore(pid int, done func(over bool)) {
	if s.chores == nil {
		s.chores = map[int]func(bool){}
	}
	s.chores[pid] = done
}

// readInputs has the inputs that are ready read, and forgets those at their end.
// Meanwhile some may be added, and dropped.
func (s *Supervisor) readInputs(ready []bool) {
	if len(s.Inputs) == 0 {
		return
	}
	for i, is := range ready {
		if is && s.Inputs[i].FD >= 0 && !s.Inputs[i].Read() {
			s.Inputs[i].FD = -1
		}
	}
	s.Inputs = slices.DeleteFunc(s.Inputs, func(in Input) bool { return in.FD < 0 })
}

// Drop forgets the input from a descriptor, which is to be called before it is
// closed.
func (s *Supervisor) Drop(fd int) {
	for i := range s.Inputs {
		if s.Inputs[i].FD == fd {
			s.Inputs[i].FD = -1 // readInputs removes it
		}
	}
}

// ownerGone ends all jobs after the owner's end; err is what the owner did wrong.
func (s *Supervisor) ownerGone(err error) {
	s.trace(TraceEvent{What: "owner gone"})
	if s.Owner.Gone != nil {
		s.Owner.Gone()
		return
	}
	s.End(protocol.CauseOwnerGone, err)
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
		if j.state == Running {
			return true
		}
	}
	return false
}

// busy says whether there is anything left to wait for. A process that cannot
// be ended is not waited for.
func (s *Supervisor) busy() bool {
	s.batchTold()
	if s.alive > 0 || s.undelivered() || s.More != nil && s.More() {
		return true
	}
	stuck := false
	for _, j := range s.jobs {
		stuck = stuck || len(j.stuck) > 0 || j.lost
	}
	return s.More == nil && !s.childless && !stuck
}

// undelivered says whether an event waits for the owner to take it.
func (s *Supervisor) undelivered() bool {
	return s.Owner != nil && s.Owner.undelivered() || s.Blocked != nil && s.Blocked()
}

// request sends a signal to an immediate child, living or zombie; any other process is
// none of the owner's. The pid is the child's until the loop reaps it, and nothing else
// does.
func (s *Supervisor) request(r protocol.Request) {
	s.traceSignal("request", int(r.PID), unix.Signal(r.Signal))
	if s.Whole && r.PID == -1 {
		for _, j := range s.jobs {
			j.signal(unix.Signal(r.Signal))
		}
		return
	}
	if s.Whole && r.PID < -1 && s.isChild(int(-r.PID)) { // the process group that it leads, as for kill(2)
		kernel.kill(int(r.PID), unix.Signal(r.Signal))
	}
	if r.PID > 0 && s.isChild(int(r.PID)) {
		kernel.kill(int(r.PID), unix.Signal(r.Signal)) // EPERM, for a setuid child, is the owner's to see
	}
}

// End kills all jobs.
func (s *Supervisor) End(cause protocol.Cause, err error) {
	s.killed = s.KillAll != nil && s.KillAll() == nil
	s.trace(TraceEvent{What: "end", Cause: cause})
	for _, j := range s.jobs {
		j.End(cause, err)
	}
	s.killed = false
}

func (s *Supervisor) records() (all []*protocol.Record) {
	for _, j := range s.jobs {
		all = append(all, j.completeRecord())
	}
	return all
}
