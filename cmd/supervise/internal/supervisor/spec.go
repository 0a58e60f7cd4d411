package supervisor

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Containment holds the processes of one job. If it is also an io.Closer, it
// is closed when empty; see Lister and Accountant for what else it may know.
type Containment interface {
	// Start runs a program inside and returns its pid; see syscall.StartProcess.
	Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error)
	// Signal sends sig to every process, missing none that is being forked.
	Signal(sig unix.Signal) error
	// Kill ends every process. It may return before they are dead.
	Kill() error
	// Empty reports whether no live process is left; zombies do not count.
	Empty() (bool, error)
}

// A Holder may be able to keep its processes from running until Kill; it says
// whether it did.
type Holder interface{ Hold() (held bool, err error) }

// A Lister knows the pids of its live processes.
type Lister interface{ Procs() ([]int, error) }

// An Accountant knows the processor time used inside, in microseconds.
type Accountant interface {
	CPU() (user, system uint64, err error)
}

// A Sampler can be looked at now and then.
type Sampler interface{ Sample(at time.Time) }

// Leftovers is what becomes of processes that outlive the main process.
type Leftovers int

const (
	Kill Leftovers = iota // kill them at once
	Wait                  // wait for them
	Fail                  // kill them, and the job has failed
)

// A Spec describes a job.
type Spec struct {
	Containment Containment
	Path        string // of the main process's program; "": the job is the children we have
	Argv        []string
	Attr        *syscall.ProcAttr

	Leftovers Leftovers
	Every     time.Duration // between samples, if the containment is a Sampler; 0: none
	Timeout   time.Duration // 0: none
	CPUTime   time.Duration // processor time that the whole job may use; 0: any. Needs an Accountant
	Signal    unix.Signal   // sent to the whole job when the time is up
	Grace     time.Duration // between that and the kill; 0: kill at once
	TermGrace time.Duration // if set, SIGTERM to us also starts a grace period, of this length
	StopGrace time.Duration // the same for SIGTERM from the service manager

	// Nested says that the main process is a supervisor itself, which ends all there is
	// when it is told to: it must not be killed.
	Nested bool
	Tag    any // the caller's

	// Ended, if not nil, is told how the job went, when it has ended and is forgotten;
	// else that is among the results of Run.
	Ended func(*Job, Result)
}

// A Result is how a job went.
type Result struct {
	PID            int             // 0: none
	Exit           *protocol.Event // of the main process; nil: it had none, or is stuck
	Cause          protocol.Cause
	Started, Ended time.Time
	Leftovers      []protocol.Leftover
	LeftoversTotal int
	Stuck          []int       // processes that could not be ended
	Main           unix.Rusage // of the main process, if Exit is not nil
	Reaped         int
	Err            error // what went wrong on our, or the owner's, side
}
