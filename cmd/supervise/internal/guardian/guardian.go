// Package guardian forks a twin of this process that ends the session if this
// process dies without doing so, even by SIGKILL.
//
// The twin is a plain fork without exec, so it costs a few pages and no start-up.
// It blocks in read(2) on a pipe whose only writer is this process. End of file
// means that we are dead: it writes "1" to the session's cgroup.kill, and then
// becomes this program anew, by execve, to wait and remove the directories
// (see Invoked). One byte means that we are done: it exits.
package guardian

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// cleanerName is argv[0] of this program when the twin executes it.
const cleanerName = "supervise: guardian"

// A Guardian is the running twin. It belongs to one goroutine.
type Guardian struct {
	pid  int
	pipe int // the write end
}

// Start forks the twin. The descriptors are those of the session's cgroup.kill
// (-1 where the kernel has none: before Linux 5.14) and of the two directories
// that Invoked is to get; they stay the caller's.
//
// The twin has exit signal 0: waitid(2) without __WCLONE does not see it.
func Start(kill, session, root int) (*Guardian, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	p, err := newPlan(pipe[0], kill, session, root)
	if err == nil {
		pid, errno := fork(p)
		if errno == 0 {
			return &Guardian{pid: int(pid), pipe: pipe[1]}, nil
		}
		err = fmt.Errorf("forking the guardian: %w", errno)
	}
	unix.Close(pipe[1])
	return nil, err
}

// newPlan lays out in memory all that the twin will need, for it cannot allocate.
func newPlan(pipe, kill, session, root int) (*plan, error) {
	p := &plan{all: ^uint64(0), pipe: uintptr(pipe), kill: uintptr(kill), session: uintptr(session), root: uintptr(root)}
	keep := []int{pipe, session, root}
	if kill >= 0 {
		keep = append(keep, kill)
	}
	p.closing = gaps(keep)
	argv, err := syscall.SlicePtrFromStrings([]string{cleanerName, strconv.Itoa(session), strconv.Itoa(root)})
	if err != nil {
		return nil, err
	}
	envv, err := syscall.SlicePtrFromStrings(nil)
	if err != nil {
		return nil, err
	}
	copy(p.argv[:], argv)
	copy(p.envv[:], envv)
	return p, nil
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

// Dismiss tells the twin that there is nothing left to guard.
func (g *Guardian) Dismiss() {
	unix.Write(g.pipe, []byte{0})
	unix.Close(g.pipe)
}

// Wait waits for the twin to exit after Dismiss.
func (g *Guardian) Wait() {
	for {
		if _, err := unix.Wait4(g.pid, nil, unix.WCLONE, nil); err != unix.EINTR {
			return
		}
	}
}

// Invoked says whether this process is a twin that has outlived its supervisor,
// and returns the descriptors of the session's and the root's directories.
func Invoked() (session, root int, ok bool) {
	if len(os.Args) != 3 || os.Args[0] != cleanerName {
		return 0, 0, false
	}
	session, err1 := strconv.Atoi(os.Args[1])
	root, err2 := strconv.Atoi(os.Args[2])
	return session, root, err1 == nil && err2 == nil
}
