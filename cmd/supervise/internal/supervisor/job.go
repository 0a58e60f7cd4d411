package supervisor

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A State of a job: see the diagram above.
type State int

// The states.
const (
	Running  State = iota // the main process is alive or not reaped
	Waiting               // it is gone; the others are waited for
	Stopping              // all were sent a signal, the grace period runs
	Killing               // all were killed
	Ended                 // nothing is left
)

// killLimit bounds the wait for killed processes: one that hangs in the kernel
// (D state) does not go, and is reported instead.
const killLimit = 10 * time.Second

// killEvery is how often what was killed and lives is killed again: cgroup.kill may miss
// a process. Linux 6.18 lets one live that is forked at that moment, once in some
// thousand kills of a tree that forks.
const killEvery = time.Second

// A Job runs, or has run. It belongs to the goroutine of Run.
type Job struct {
	Spec
	BeforeKill func() // called once, before the job is killed; nil: nothing

	s        *Supervisor
	state    State
	main     int // pid, 0 if there is no main process
	exit     *protocol.Event
	cause    protocol.Cause // "" until something but the main process decides
	cutShort unix.Signal    // see CutShort
	until    time.Time      // the deadline of the state; zero: none
	killed   time.Time      // when it first was
	meter    time.Time      // when to look at the processor time again; zero: never
	tick     time.Time      // of the next sample; zero: there is none
	next     time.Time      // the first of these; zero: there is none
	unkilled bool
	forced   bool
	touched  bool // it is among those that settle will look at
	empty    bool // it was seen to be, and the dead of until then were reaped
	place    int  // among the alarms; -1: not there
	watch    int  // the watcher's key; 0: none
	started  time.Time
	usage    *unix.Rusage // of the main process, once that was reaped
	reaped   int          // processes known to be the job's
	ended    time.Time    // when it was empty; zero: not yet
	left     []protocol.Leftover
	leftAll  int  // how many processes outlived the main process, listed in left or not
	hidden   bool // there were some that could not even be counted
	record   *protocol.Record
	stuck    []int
	lost     bool // what is left of it cannot be looked for
	err      error
}

// PID returns that of the main process, 0 if there is none.
func (j *Job) PID() int { return j.main }

// Started returns when the job did.
func (j *Job) Started() time.Time { return j.started }

// State says how far the job has come.
func (j *Job) State() State { return j.state }

// HasExited says whether the main process has ended and was reaped, so that its
// pid may be another's.
func (j *Job) HasExited() bool { return j.exit != nil }

// EndedUnkilled says, when the job has ended, that it did by itself and without a SIGKILL: its
// main process has exited, and no process outlived it.
func (j *Job) EndedUnkilled() bool { return j.unkilled }

// CutShort returns the signal by which processes were ended that had outlived the main
// process, and that the job was to wait for; 0: it has waited.
func (j *Job) CutShort() unix.Signal { return j.cutShort }

// EndedByForce says, when the job has ended, that a signal had a part in that: one of ours
// to any of its processes, one that we handed on to end it, or the one of which its main
// process has died.
func (j *Job) EndedByForce() bool {
	return j.forced || j.exit != nil && j.exit.Code() != protocol.Exited
}

// waits says whether the job is at a point where it waits for the end of everything.
func (j *Job) waits() bool {
	switch {
	case j.state == Ended:
		return false
	case j.main != 0 && j.exit == nil:
		return false // running; or dead but not reaped
	case j.main == 0 && j.state == Running && !j.s.childless:
		return false
	}
	return true
}

// look sees whether the containment is empty, if the job waits for that. What cannot be
// looked at is not called empty: it is ended, and asked again by killAgain.
func (j *Job) look() (waits bool) {
	if j.empty = false; !j.waits() {
		return false
	}
	empty, err := j.Containment.Empty()
	if err == nil && !empty && j.state != Running && j.listen() {
		empty, err = j.Containment.Empty() // of what was before it no hint comes
	}
	j.fail(err)
	if err != nil {
		if j.state < Killing {
			j.kill()
		} else if j.until.IsZero() {
			j.deadline(killEvery)
		}
		return false
	}
	j.empty = empty
	return true
}

// settle moves the job on after a look.
func (j *Job) settle() {
	switch {
	case j.state == Ended: // by a look before this one
	case j.empty && j.state <= Waiting && j.strayed():
	case j.empty:
		j.finish()
	case j.state == Running:
		j.outlived()
	}
}

// strayed finds processes that live on outside of the empty containment: they moved
// out, or another program moved them (`podman run` has systemd do it). They are
// leftovers like any. It returns whether the job waits for them; else finish sweeps
// them up.
func (j *Job) strayed() (wait bool) {
	if j.s.Strays == nil || j.s.alive > 1 {
		return false
	}
	if j.s.collect(); j.s.childless {
		return false
	}
	pids, err := j.s.Strays()
	j.fail(err)
	pids = slices.DeleteFunc(pids, func(pid int) bool { return j.s.chores[pid] != nil })
	if len(pids) > 0 && j.state == Running {
		j.leftAll = len(pids)
		j.listLeftovers(pids)
		j.enter(Waiting) // SIGCHLD of the last tells of its end
	}
	wait = len(pids) > 0 && j.Leftovers == protocol.LeftoversWait
	j.forced = j.forced || len(pids) > 0 && !wait
	return wait
}

// outlived decides about processes that outlived the main process. A few are listed
// before they are killed; many may be a fork bomb, against which the supervisor gets a
// thousandth of the processor: they are killed, or held, before they are listed.
func (j *Job) outlived() {
	held := false
	if h, ok := j.Containment.(Holder); ok && j.Leftovers != protocol.LeftoversWait {
		var err error
		held, err = h.Hold()
		j.fail(err)
	}
	pids := j.procs()
	if len(pids) == 0 { // it may have become empty, or the job has made its files unreadable
		empty, err := j.Containment.Empty()
		j.hidden = !empty || err != nil
	}
	if j.leftAll = len(pids); j.Leftovers == protocol.LeftoversWait {
		if w, ok := j.Containment.(Waiter); ok {
			w.Waits()
		}
		j.listLeftovers(pids)
		j.enter(Waiting)
		j.s.touch(j)
		return
	}
	killFirst := !held && len(pids) > maxLeftovers
	if !killFirst {
		j.listLeftovers(pids)
	}
	j.kill()
	if killFirst {
		j.listLeftovers(pids) // dying, or zombies
	}
}

// procs returns the live processes; nil if the containment cannot list them.
func (j *Job) procs() []int {
	l, ok := j.Containment.(Lister)
	if !ok {
		return nil
	}
	pids, err := l.Procs()
	j.fail(err)
	return pids
}

// stoppedBy stops the job if a signal to the supervisor means that: by the signal that the
// job is to be asked with. It is called before anything is reaped: the sender may have
// signaled the job as well (systemd does), and the job ends because of that.
func (j *Job) stoppedBy(s signals.Signal) bool {
	if s.Signal != unix.SIGTERM || s.Held || j.state > Waiting || j.termGrace(s.From) <= 0 {
		return false
	}
	j.Stop(protocol.CauseKilled, cmp.Or(j.Signal, s.Signal), j.termGrace(s.From))
	return true
}

// forward hands a signal on to the main process.
func (j *Job) forward(s signals.Signal) {
	sig := s.Signal
	if sig == unix.SIGCONT && j.s.Terminal != nil && j.exit == nil {
		j.s.Terminal.Resume(j.main)
	}
	switch {
	case j.exit == nil && j.main != 0 && j.s.Terminal != nil && j.s.Terminal.Reached(j.main, s):
	case j.exit == nil && j.main != 0:
		kernel.kill(j.main, sig)
		j.forced = j.forced || asksToEnd(sig)
	// No main process is left to take it.
	case j.state == Waiting && asksToEnd(sig) && !s.Held:
		j.Stop(protocol.CauseKilled, sig, j.StopGrace)
	case (j.state == Waiting || j.state == Stopping) && isFatal(sig):
		j.signal(sig)
	}
}

// termGrace is the grace period that SIGTERM from a process starts; 0: it is just
// handed on.
func (j *Job) termGrace(from int) time.Duration {
	if j.StopGrace > 0 && from > 0 && j.s.IsManager != nil && j.s.IsManager(from) {
		return j.StopGrace
	}
	return j.TermGrace
}

// asksToEnd says whether a signal is one by which users, shells and managers end a process.
func asksToEnd(sig unix.Signal) bool {
	return sig == unix.SIGHUP || sig == unix.SIGINT || sig == unix.SIGQUIT || sig == unix.SIGTERM
}

// isFatal says whether a signal, by default, ends a process (signal(7)).
func isFatal(sig unix.Signal) bool {
	switch sig {
	case unix.SIGCONT, unix.SIGWINCH, unix.SIGURG, unix.SIGCHLD, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return false
	}
	return true
}

// fail notes an error, once.
func (j *Job) fail(err error) {
	if err != nil && (j.err == nil || !strings.Contains(j.err.Error(), err.Error())) {
		j.err = errors.Join(j.err, err)
	}
}
