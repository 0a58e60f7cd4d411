// Package guardian forks a twin of this process that ends the job if this process
// dies without doing so, even by SIGKILL.
//
// The twin is a plain fork without exec, so it costs a few pages and no start-up.
// It blocks in read(2) on a pipe whose only writer is this process. End of file
// means that we are dead: it writes "1" to a cgroup.kill, if it was given one, and
// then becomes this program anew, by execve, for all that takes more than a
// system call (see Invoked). One byte means that we are done: it exits.
package guardian

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// cleanerName is argv[0] of this program when the twin executes it.
const cleanerName = "supervise: guardian"

// A Guardian is the running twin. It belongs to one goroutine.
type Guardian struct {
	pid   int
	pipe  int // the write end
	pidfd int // -1: the kernel has none
	apart bool
}

// A Plan is what the twin is to do when we are dead. The descriptors stay the
// caller's.
type Plan struct {
	Kill int    // a cgroup.kill to write to, -1: none
	Keep [2]int // descriptors that it hands on to what it executes, -1: none
	Args [2]string
	Into int // a cgroup that the twin is born in; 0: our own
}

// Start forks the twin. It has exit signal 0: waitid(2) without __WCLONE does not
// see it.
func Start(p Plan) (*Guardian, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	t, err := p.layOut(pipe[0])
	if err == nil {
		pid, errno := fork(t)
		if errno == 0 {
			return &Guardian{pid: int(pid), pipe: pipe[1], pidfd: int(t.pidfd)}, nil
		}
		err = fmt.Errorf("forking the guardian: %w", errno)
	}
	unix.Close(pipe[1])
	return nil, err
}

// layOut puts into memory all that the twin will need, for it cannot allocate.
func (p *Plan) layOut(pipe int) (*twin, error) {
	t := &plan
	*t = twin{all: ^uint64(0), pipe: uintptr(pipe), kill: uintptr(p.Kill), name: &guardianName, pidfd: -1}
	t.pause.Nsec = 100e6
	keep := []int{pipe}
	for i, fd := range [...]int{p.Kill, p.Keep[0], p.Keep[1]} {
		if fd >= 0 {
			keep = append(keep, fd)
		}
		if i > 0 {
			t.keep[i-1] = uintptr(fd)
		}
	}
	t.closing = gaps(keep)
	if p.Into > 0 {
		t.into, t.clone.cgroup = true, uint64(p.Into)
	}
	return t, t.arguments(p.Args) // an environment it has none
}

// arguments lays out those of the cleaner.
func (t *twin) arguments(args [2]string) error {
	for i, arg := range [...]string{cleanerName, args[0], args[1]} {
		if n := copy(t.args[i][:maxArg-1], arg); n < len(arg) {
			return fmt.Errorf("the guardian's argument %q is too long", arg)
		}
		t.argv[i] = &t.args[i][0]
	}
	return nil
}

// gaps returns the ranges of descriptors around those to keep.
func gaps(keep []int) (ranges [maxGaps][2]uintptr) {
	slices.Sort(keep)
	next, n := 0, 0
	for _, fd := range keep {
		if fd > next {
			ranges[n] = [2]uintptr{uintptr(next), uintptr(fd - 1)}
			n++
		}
		next = fd + 1
	}
	ranges[n] = [2]uintptr{uintptr(next), maxFD}
	return ranges
}

// PID returns the twin's process id.
func (g *Guardian) PID() int { return g.pid }

// Apart waits until the twin leads a session of its own, the first thing that it does. From
// then on a signal to our process group is not for it. Call it before a job starts: one
// whose first act is kill(0, SIGKILL) would end us and the twin together. Where a filter of
// system calls refuses setsid(2), it is enough that the twin has tried.
func (g *Guardian) Apart() {
	died := []unix.PollFd{{Fd: int32(g.pidfd), Events: unix.POLLIN}}
	for began := time.Now(); !g.apart; {
		sid, err := unix.Getsid(g.pid)
		waited := time.Since(began)
		if g.apart = sid == g.pid || err != nil || waited > soon && g.hasName() || waited > apartLimit; !g.apart {
			wait := unix.NsecToTimespec(20e3)
			n, _ := unix.Ppoll(died, &wait, nil)
			g.apart = n > 0
		}
	}
}

// In how long a twin has its session, as a rule; and the bound of the wait for one that a filter
// keeps from its name as well.
const (
	soon       = time.Millisecond
	apartLimit = time.Second
)

// hasName says whether the twin has its name, which it takes after its session.
func (g *Guardian) hasName() bool {
	name, err := proc.Read(g.pid, "comm", 0)
	return err == nil && string(name) == "guardian\n"
}

// PIDFD returns a descriptor that is readable when the twin has died, -1 before Linux 5.2.
// The guardian owns it.
func (g *Guardian) PIDFD() int { return g.pidfd }

// Dismiss tells the twin that there is nothing left to guard.
func (g *Guardian) Dismiss() {
	unix.Write(g.pipe, []byte{0})
	unix.Close(g.pipe)
}

// Bury reaps the twin, which has died, and forgets it.
func (g *Guardian) Bury() {
	unix.Close(g.pipe)
	g.Wait()
}

// Wait waits for the twin to exit after Dismiss.
func (g *Guardian) Wait() {
	finish(g.pid)
	if g.pidfd >= 0 {
		unix.Close(g.pidfd)
		g.pidfd = -1
	}
}

// finish ends a twin that has nothing left to do, and waits for it. One that is stopped or
// frozen would not exit by itself.
func finish(pid int) {
	unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, unix.WCLONE, nil); err != unix.EINTR {
			return
		}
	}
}

// Invoked says whether this process is a twin that has outlived its supervisor,
// and returns the arguments of its plan.
func Invoked() (args []string, ok bool) {
	if len(os.Args) != 3 || os.Args[0] != cleanerName {
		return nil, false
	}
	return os.Args[1:], true
}
