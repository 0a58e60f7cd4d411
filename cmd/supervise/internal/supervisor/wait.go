package supervisor

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/protocol"
)

// errNone says that no child has changed status.
const errNone = unix.EAGAIN

// kernel is what the loop asks of the kernel about children and descriptors. The model in
// the tests has another one.
var kernel = struct {
	waitid func(idType, id, options int, usage *unix.Rusage) (*protocol.Event, error)
	kill   func(pid int, sig unix.Signal) error
	ppoll  func(fds []unix.PollFd, timeout *unix.Timespec, mask *unix.Sigset_t) (int, error)
}{waitid, unix.Kill, unix.Ppoll}

// changes are what is waited for.
const changes = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED | unix.WNOHANG

// waitChild takes one status change of any child, or of one, from the kernel. It returns
// errNone if there is none, ECHILD if there is no child. Usage is that of a child that
// has ended, and of the children it waited for.
//
// Statuses of jobs are taken here and in CollectDead, by the goroutine of the loop, and
// nowhere else: a pid is its process's for as long as that is not reaped. Every other wait
// names a child that is no job's, or takes nothing:
//
//   - package guardian waits for its twins, which have exit signal 0, so that a waitid
//     without __WCLONE never finds them. The foster, one of them, reaps what it is asked for
//     by the goroutine of the loop, and nothing else.
//     Launch waits for a child that could not execute its program: no job has its pid yet.
//   - package serve waits for such a child as well: the job with its pid is of no loop any more.
//   - package program reaps supervise-scope and its like, before the loop runs or after it;
//     during it they are chores, which the loop reaps.
//   - package cgroup reaps a process that the kernel killed at its birth in a cgroup, and
//     the stub that could not join one: no job has their pid yet. Its probe for clone3 reaps
//     a process that cannot have executed anything.
//   - package subreaper takes the SIGCONT that it sent itself after it had stopped a
//     process; it looks with WNOWAIT whether a child is dead, and whether there were children
//     from before our start.
func (s *Supervisor) waitChild(idType, id int, usage *unix.Rusage) (*protocol.Event, error) {
	e, err := s.waitid(idType, id, changes, usage)
	if err == nil && e.PID() == 0 {
		return nil, errNone
	}
	return e, err
}

// peekChild returns what waitChild would, and leaves it there.
func (s *Supervisor) peekChild(idType, id int) (*protocol.Event, error) {
	e, err := s.waitid(idType, id, changes|unix.WNOWAIT, nil)
	if err == nil && e.PID() == 0 {
		return nil, errNone
	}
	return e, err
}

// isChild says whether pid is a child of ours, living or zombie.
func (s *Supervisor) isChild(pid int) bool {
	_, err := s.waitid(unix.P_PID, pid, changes|unix.WNOWAIT, nil)
	return err == nil
}

// waitid is waitid(2) of the foster's children, and of ours: those of a foster that is dead are
// ours.
func (s *Supervisor) waitid(idType, id, options int, usage *unix.Rusage) (*protocol.Event, error) {
	if s.Foster == nil {
		return kernel.waitid(idType, id, options, usage)
	}
	var theirs protocol.Event
	theirErr := s.Foster.Waitid(idType, id, options, (*guardian.Info)(&theirs), usage)
	if theirErr == nil && theirs.PID() != 0 {
		return &theirs, nil
	}
	ours, err := kernel.waitid(idType, id, options, usage)
	if err == unix.ECHILD && theirErr != unix.ECHILD {
		return &theirs, theirErr
	}
	return ours, err
}

// waitid fills an event with what the kernel writes, byte for byte; the cast
// saves us a copy of siginfo_t field by field, and the sizes are equal by
// definition (SI_MAX_SIZE). It is called with WNOHANG alone, hence raw: the runtime
// takes a call that is not for one that may block, and gives our place away when
// the machine is busy and it takes 20 us; to get it back costs more than to reap.
func waitid(idType, id, options int, usage *unix.Rusage) (*protocol.Event, error) {
	var e protocol.Event
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id),
			uintptr(unsafe.Pointer(&e)), uintptr(options), uintptr(unsafe.Pointer(usage)), 0)
		switch errno {
		case 0:
			return &e, nil
		case unix.EINTR:
		default:
			return &e, errno
		}
	}
}
