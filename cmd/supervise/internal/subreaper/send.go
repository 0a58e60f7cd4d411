package subreaper

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// send sends a signal to a process that was seen as a descendant a moment ago. Its number
// may be another's by now if it was reaped: a pidfd (Linux 5.3) holds on to the process
// that has the number, and a second look says whether that is the same. Without pidfds,
// or with no descriptor left, the signal goes by the number: to kill nothing would be
// worse.
func send(p process, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if isRefused(err) || err == unix.EMFILE {
		return unix.Kill(p.pid, sig)
	}
	if err != nil {
		return unix.ESRCH
	}
	defer unix.Close(fd)
	if now, err := readProcess(p.pid); err != nil || now.start != p.start {
		return unix.ESRCH
	}
	if err = unix.PidfdSendSignal(fd, sig, nil, 0); isRefused(err) {
		return unix.Kill(p.pid, sig)
	}
	return err
}

// isRefused says whether a system call may be unknown to the kernel, or to a filter of
// system calls. Older profiles of containers let pidfd_open(2) through, and not
// pidfd_send_signal(2). EPERM may be about the process as well: then it is so again.
func isRefused(err error) bool { return err == unix.ENOSYS || err == unix.EPERM }

// awaitDeath returns when a process is a zombie or gone: a pidfd is readable from the end
// of the process on. Without pidfds the caller's next pass decides.
func awaitDeath(p process, deadline time.Time) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	if now, err := readProcess(p.pid); err != nil || now.start != p.start {
		unix.Close(fd)
		return
	}
	defer unix.Close(fd)
	for {
		wait := time.Until(deadline).Milliseconds()
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(wait, 0)))
		if err != unix.EINTR || n > 0 {
			return
		}
	}
}

// sendError wraps an error of kill(2). ESRCH, of a process that has gone, is none.
func sendError(pid int, sig unix.Signal, err error) error {
	if err == nil || err == unix.ESRCH {
		return nil
	}
	return fmt.Errorf("sending signal %d to process %d: %w", sig, pid, err)
}
