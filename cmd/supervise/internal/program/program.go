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

// IsNotExecutable says whether an error is one that execve(2) has for a program. It is a bare
// errno too, and so are those of fork(2) and of what the child does before it executes the
// program: a lack of processes or memory, or a filter's refusal (EPERM, ENOSYS), which tell
// nothing of the program.
func IsNotExecutable(err error) bool {
	switch err {
	case syscall.E2BIG, syscall.EACCES, syscall.EIO, syscall.EISDIR, syscall.ELIBBAD, syscall.ELOOP,
		syscall.ENAMETOOLONG, syscall.ENOEXEC, syscall.ETXTBSY:
		return true
	}
	return false
}

// Starting says of a bare errno what has failed.
func Starting(name string, err error) error {
	if _, bare := err.(syscall.Errno); bare {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	return err
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
	case IsNotExecutable(err):
		return cli.ExitNotExecutable, fmt.Errorf("%s: cannot be executed: %w", shown, err)
	}
	return cli.ExitFailure, Starting(shown, err)
}
