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
	// Start runs a program inside and returns its pid; see syscall.StartProcess. The program
	// ignores and blocks the signals that this process did when it was executed.
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

// A Capturer kills a process that has left it and may not be signalled, another user's.
type Capturer interface{ Capture(pid int) error }

// An Accountant knows the processor time used inside, in microseconds.
type Accountant interface {
	CPU() (user, system uint64, err error)
}

// A Sampler can be looked at now and then.
type Sampler interface{ Sample(at time.Time) }

// A Waiter is told that the main process has ended, and that the rest is waited for.
type Waiter interface{ Waits() }

// A Recorder fills in its part of the record: where the job was held and what it used.
// It is asked once, when it is empty and not closed yet. Unkilled says that the job ended
// by itself: see [Job.EndedUnkilled].
type Recorder interface {
	Record(r *protocol.Record, unkilled bool)
}

// A Spec describes a job.
type Spec struct {
	Containment Containment
	Path        string // of the main process's program; "": the job is the children we have
	Argv        []string
	Attr        *syscall.ProcAttr

	Leftovers protocol.Leftovers // "": kill them
	Every     time.Duration      // between samples, if the containment is a Sampler; 0: none
	Timeout   time.Duration      // 0: none
	CPUTime   time.Duration      // processor time that the whole job may use; 0: any. Needs an Accountant
	Signal    unix.Signal        // sent to the whole job when the time is up or TermGrace or StopGrace starts (0: SIGTERM then)
	Grace     time.Duration      // between that and the kill; 0: kill at once
	TermGrace time.Duration      // if set, SIGTERM to us also starts a grace period, of this length
	StopGrace time.Duration      // the same for SIGTERM from the service manager

	// Nested says that the main process is a supervisor itself, which ends all there is
	// when it is told to: it must not be killed.
	Nested bool
	Tag    any // the caller's
}

// Script has the shell execute the program.
func (s Spec) Script() Spec {
	s.Argv = append([]string{"sh", s.Path}, s.Argv[1:]...)
	s.Path = "/bin/sh"
	return s
}
