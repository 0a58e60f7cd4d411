// Package subreaper holds a job by descent alone: everything below this process,
// which is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so that no
// descendant can leave by losing its parent. It is the fallback where there is
// no cgroup to be had, and the sweep after a cgroup is empty.
//
// It ends what a plain hunt through /proc cannot, a fork bomb: first every
// descendant is stopped, until a pass finds none that runs; a stopped process
// does not fork, and keeps its slot in the limit of processes. Then all are
// killed.
package subreaper

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
)

// A Tree is all descendants of this process but those spared. The zero value spares none.
// It belongs to one goroutine, and nothing but Reap may reap while one of its methods
// runs: the pid of a zombie cannot be given to another process, so the pids in hand stay
// true.
type Tree struct {
	Spare []int // children that are no job's, with all below them: the guardian

	// Group, if not 0, is a process group of which every member is the job's: it is
	// stopped whole, by one system call, and that is the step that a fork bomb cannot
	// outrun.
	Group int
	// Reap, if not nil, takes the dead among our children off the kernel's list, if
	// it may, and says how many: a lineage in which each process forks the next and
	// ends fills that up, and slower to read it is ever harder to catch.
	Reap func() int
	// Capture, if not nil, ends a process that may not be signalled, another user's, in another
	// way.
	Capture func(pid int) error
	// Foster, if not nil, is the twin through which the descendants are ours while it lives: its
	// children count as this process's.
	Foster *guardian.Foster
	// Over, if not nil, says that all is to be killed next: then nothing needs to go on.
	Over func() bool

	still bool         // stopped by Still
	keeps bool         // Reap must not be called between two looks
	mark  Mark         // if set, the processes that bear it instead of the descendants
	roots func() []int // if set, these and what is below them instead of the descendants
}

// Start runs a program as a child of this process; attr is as for syscall.StartProcess.
// The place of the child in the tree is all that holds it.
func (t *Tree) Start(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	return guardian.Launch(path, argv, attr)
}

// Procs returns the pids of the live descendants. With err they are those that were
// found.
func (t *Tree) Procs() ([]int, error) {
	procs, err := t.live()
	return pidsOf(procs), err
}

// Empty reports whether no live descendant is left; zombies do not count.
func (t *Tree) Empty() (bool, error) {
	switch {
	case t.mark != 0:
	case t.roots == nil && t.childless():
		return true, nil
	case t.hasLiveChild():
		return false, nil
	}
	procs, err := t.live()
	return err == nil && len(procs) == 0, err
}

// childless says that nothing is below this process, which is a subreaper: what had another
// parent before would be its child, or the foster's. That is one system call, and leaves nothing
// below /proc/PID/task in the kernel's cache of names. To throw that away when the process ends
// may take more time than all the rest (see kernel-facts.md).
func (t *Tree) childless() bool {
	options := unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	switch {
	case t.Foster == nil:
		options |= unix.WALL // what this process was started with may have been cloned in any way
	case !t.Foster.Barren():
		return false
	}
	return unix.Waitid(unix.P_ALL, 0, nil, options, nil) == unix.ECHILD
}

// hasLiveChild is the quick answer of Empty: against a fork bomb a look at all of
// it takes seconds.
func (t *Tree) hasLiveChild() bool {
	all := t.children(Children)
	youngest := all[max(0, len(all)-64):] // the likeliest to live
	for _, pid := range youngest {
		p, err := readProcess(pid)
		if err == nil && !p.dead && !t.spares(pid) {
			return true
		}
	}
	return false
}

// Signal sends sig to every descendant. All are stopped first, so that one which
// is just being forked cannot be missed, and continued afterwards, but for those
// that were stopped before. A signal that stops comes after that, as SIGCONT would
// take it back; SIGSTOP has come already.
func (t *Tree) Signal(sig unix.Signal) error {
	held, wasStopped, err := t.stop()
	if err == errTooFast {
		err = nil // those that were caught get it
	}
	if sig == unix.SIGSTOP {
		return err
	}
	stops := sig == unix.SIGTSTP || sig == unix.SIGTTIN || sig == unix.SIGTTOU
	for pid := range held {
		if !stops {
			err = errors.Join(err, sendError(pid, sig, proc.SignalHeld(pid, sig)))
		}
	}
	for pid := range held {
		if !wasStopped[pid] {
			t.goOn(pid)
		}
		if stops {
			err = errors.Join(err, sendError(pid, sig, unix.Kill(pid, sig)))
		}
	}
	return err
}

// goOn continues a process that stop has stopped. If it is a child, its status would be
// told to the owner though neither the owner nor the job did anything: it is taken here,
// where it waits from the moment of the signal on.
func (t *Tree) goOn(pid int) {
	unix.Kill(pid, unix.SIGCONT)
	if t.Foster.PID() > 0 {
		var info guardian.Info
		t.Foster.Waitid(unix.P_PID, pid, unix.WCONTINUED|unix.WNOHANG, &info, nil)
		return
	}
	unix.Waitid(unix.P_PID, pid, nil, unix.WCONTINUED|unix.WNOHANG, nil)
}

// killLimit bounds the wait for processes that were sent SIGKILL: one that hangs
// in the kernel (D state) does not go.
const killLimit = 10 * time.Second

// killEvery is how often what was killed and lives is killed again: it may have changed its
// user meanwhile.
const killEvery = time.Second

// Hold stops every descendant, for a look at leisure before Kill. To be outrun is no
// error: Kill comes next.
func (t *Tree) Hold() error {
	t.rush()
	_, _, err := t.stop()
	if err == errTooFast {
		err = nil
	}
	return err
}

// rush stops all that a quick walk finds, before anything else is asked: against a fork
// bomb of a thousand running processes this one has a thousandth of the processor, so
// each must cost next to nothing until it is stopped. A number cannot be another's by
// now: its parent was sent SIGSTOP before it was read. The youngest come first, and where
// a process has died meanwhile the walk begins anew: in a lineage no other is alive.
func (t *Tree) rush() {
	if t.mark != 0 {
		return
	}
	r := newRushing(t)
	for found := true; found; {
		if t.reap() > 0 {
			clear(r.seen) // a number may be another's now
		}
		found = r.walk()
	}
}

// reap takes the dead off the kernel's list of children, and says how many. Without Reap
// the statuses are another's to take, and it does nothing. Nor does it while the foster has seen
// no dead: to ask it takes a turn of it on the processor.
func (t *Tree) reap() int {
	if t.Reap == nil || t.Foster.PID() > 0 && !t.Foster.Dead() {
		return 0
	}
	return t.Reap()
}

// A rushing is one run of rush. Its buffer is used for every process, so that a walk of
// thousands does not wait for the allocator.
type rushing struct {
	t            *Tree
	seen         map[int]bool
	leave        func(pid int) bool // says of a process that it is not to be stopped; nil: all are
	groupStopped bool
	buf          []byte
}

func newRushing(t *Tree) *rushing {
	return &rushing{t: t, seen: map[int]bool{}, buf: make([]byte, 32<<10)}
}

// rushStep is how many processes are stopped before the walk looks for dead ones: to look
// costs a system call, as to stop one does.
const rushStep = 32

// walk stops those that were not seen yet, and says whether there may be more.
func (r *rushing) walk() (found bool) {
	news := 0
	for todo := r.t.children(Children); len(todo) > 0; {
		pid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r.t.spares(pid) {
			continue
		}
		if !r.seen[pid] {
			r.stop(pid)
			if news++; news%rushStep == 0 && r.t.Reap != nil && r.t.anyDead() {
				return true
			}
		}
		todo = append(todo, firstChildren(pid, r.buf)...)
	}
	return news > 0
}

// stop stops one process, and once the whole group, when its first member is met: before
// that the number of the group might be another's.
func (r *rushing) stop(pid int) {
	r.seen[pid] = true
	if r.leave != nil && r.leave(pid) {
		return
	}
	unix.Kill(pid, unix.SIGSTOP)
	if r.t.Group <= 0 || r.groupStopped {
		return
	}
	if group, err := unix.Getpgid(pid); err == nil && group == r.t.Group {
		r.groupStopped = unix.Kill(-group, unix.SIGSTOP) == nil
	}
}

// anyDead says whether a child waits to be reaped. WNOWAIT leaves its status with the
// kernel. Of the foster's children it is what that has noticed.
func (t *Tree) anyDead() bool {
	if t.Foster.PID() > 0 {
		return t.Foster.Dead()
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// Kill ends every descendant and returns when none is left alive, or with an *AliveError
// that names those that cannot be ended: it gives up when for killLimit there was nothing
// that it could kill. To be outrun is no reason to give up: a fork bomb runs into the
// limit of processes, and is caught there.
func (t *Tree) Kill() error {
	killed := map[process]bool{}
	deadline := time.Now().Add(killLimit)
	for {
		t.rush()
		held, _, err := t.stop()
		if err != nil && err != errTooFast {
			return err
		}
		if err == nil && len(held) == 0 {
			return nil
		}
		outrun, progress := err == errTooFast, false
		for pid, p := range held {
			err := send(p, unix.SIGKILL)
			if err == unix.EPERM && t.Capture != nil {
				err = t.Capture(pid)
			}
			switch {
			case err == nil:
				id := process{pid: pid, start: p.start}
				progress = progress || !killed[id]
				killed[id] = true
			case err != unix.ESRCH: // another user's: its end is not in our hands
				outrun = false
			}
		}
		if outrun || progress {
			deadline = time.Now().Add(killLimit)
		} else if time.Now().After(deadline) {
			return t.alive()
		}
		for _, p := range held {
			awaitDeath(p, soonest(deadline, time.Now().Add(killEvery)))
		}
	}
}

func soonest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// An AliveError names descendants that could not be ended.
type AliveError struct{ Pids []int }

func (e *AliveError) Error() string {
	return fmt.Sprintf("processes %v cannot be ended (another user's, or hanging in the kernel)", e.Pids)
}

// Survivors returns the processes.
func (e *AliveError) Survivors() []int { return e.Pids }

// alive names the processes that are left; nil if the last of them has gone in the
// meantime.
func (t *Tree) alive() error {
	pids, err := t.Procs()
	if err != nil || len(pids) == 0 {
		return err
	}
	return &AliveError{pids}
}

// stop stops every descendant. Its results stay true until a process is reaped or
// continued: a stopped parent does not wait for its children. Where another process
// continues the stopped ones, or a process cannot stop (frozen by its cgroup), it is
// errTooFast: Kill then goes on, and comes again.
func (t *Tree) stop() (held map[int]process, wasStopped map[int]bool, err error) {
	held, wasStopped = map[int]process{}, map[int]bool{}
	err = t.each(func(live []process) (acted bool, err error) {
		for _, p := range live {
			if h, known := held[p.pid]; known && h.start == p.start && p.settled() {
				continue
			} else if !known || h.start != p.start {
				wasStopped[p.pid] = p.state == 'T'
			}
			switch send(p, unix.SIGSTOP) {
			case nil:
				held[p.pid] = p
				acted = true
			case unix.EPERM:
				held[p.pid] = p // to be reported
			}
		}
		return acted, nil
	}, nil)
	return held, wasStopped, err
}
