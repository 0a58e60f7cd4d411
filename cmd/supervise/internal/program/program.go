// Package program finds programs and executes those that belong to supervise.
package program

import (
	"fmt"
	"syscall"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// IsNotFound says whether an error means that a program, or its interpreter, is missing.
// The errors of finding and of executing a program are bare errnos; all others are
// wrapped, so that a missing file of another kind is not taken for a missing command.
func IsNotFound(err error) bool { return err == syscall.ENOENT || err == syscall.ENOTDIR }

// IsShortage says whether a program could not be started for want of processes, memory or
// descriptors, which tells nothing of the program.
func IsShortage(err error) bool {
	switch err {
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		return true
	}
	return false
}

// IsErrno says whether an error is a bare errno, as execve(2) returns it.
func IsErrno(err error) bool {
	_, ok := err.(syscall.Errno)
	return ok
}

// NotStarted returns the exit status for a command that could not be started, as a shell
// has it, and what to complain of.
func NotStarted(name string, err error) (status int, complaint error) {
	shown := cli.Printable(name)
	switch {
	case IsNotFound(err):
		if _, e := LookPath(name); e == nil {
			shown += ": its interpreter"
		}
		return cli.ExitNotFound, fmt.Errorf("%s: not found", shown)
	case IsShortage(err):
		return cli.ExitFailure, fmt.Errorf("starting %s: %w", shown, err)
	case IsErrno(err):
		return cli.ExitNotExecutable, fmt.Errorf("%s: cannot be executed: %w", shown, err)
	}
	return cli.ExitFailure, err
}
