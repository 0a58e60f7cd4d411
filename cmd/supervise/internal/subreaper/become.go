package subreaper

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Become makes this process a child subreaper (Linux 3.4): an orphan below it becomes its
// child rather than init's. The attribute survives execve and is not inherited by
// children. It is an error if /proc shows the descendants by other numbers than kill(2)
// takes, or where jobs could not be waited for.
func Become() error {
	if err := errors.Join(ownProc(), calls()); err != nil {
		return err
	}
	return prctlError(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// calls makes sure that no filter refuses the system calls without which a job could not be
// waited for: the loop would sleep for ever, or never.
func calls() error {
	if _, err := unix.Ppoll(nil, &unix.Timespec{}, nil); isRefused(err) {
		return fmt.Errorf("a filter of system calls is in the way: ppoll: %w", err)
	}
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); isRefused(err) {
		return fmt.Errorf("a filter of system calls is in the way: waitid: %w", err)
	}
	return nil
}

// ownProc makes sure that /proc belongs to the PID namespace of this process: by
// another's it would take strangers for the job, and kill the processes that have their
// numbers here.
func ownProc() error {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("finding this process in /proc: %w", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return errors.New("/proc is that of another PID namespace; unshare --mount-proc or bwrap --proc /proc mount the right one")
	}
	return nil
}

// Abandon ends all descendants of a process that cannot hold them, as far as they are to be
// found.
func Abandon() {
	if ownProc() == nil {
		(&Tree{}).Kill()
	}
}

// prctlError wraps the error of becoming a subreaper; nil stays nil.
func prctlError(err error) error {
	if err != nil {
		return fmt.Errorf("becoming a child subreaper: %w", err)
	}
	return nil
}
