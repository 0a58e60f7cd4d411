package run

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// openParent returns a pidfd (pidfd_open(2), Linux 5.3) of the process that started this
// one; -1: it is not wanted. PR_SET_PDEATHSIG would not do: it tells of the end of the
// thread that forked this process, not of the whole parent. The pidfd lasts as long as
// the process.
func openParent(wanted bool) (int, error) {
	if !wanted {
		return -1, nil
	}
	pid := os.Getppid()
	// getppid(2) is 0 for a parent that this namespace does not show.
	if pid == 0 {
		return -1, errors.New("the process that started supervise is outside of this PID namespace; --owner fd:N serves there")
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil && os.Getppid() != pid { // it ended meanwhile, and its number may be another's
		unix.Close(fd)
		err = unix.ESRCH
	}
	switch err {
	case nil:
		return fd, nil
	case unix.ESRCH:
		return -1, errors.New("the process that started supervise has ended")
	}
	return -1, os.NewSyscallError("pidfd_open", err)
}

// parentInput ends the job when the parent has ended: a pidfd is readable from then on,
// and the loop forgets the input.
func (r *runner) parentInput(s *supervisor.Supervisor) supervisor.Input {
	return supervisor.Input{FD: r.parent, Read: func() (more bool) {
		s.End(protocol.CauseOwnerGone, nil)
		return false
	}}
}
