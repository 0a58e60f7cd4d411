// Package cli is what the programs of this module share at their command lines: exit
// statuses, complaints on stderr, and flags.
package cli

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	_ "github.com/seed-c1490a04/supervise/cmd/internal/fatal" // the programs end by it where Go's runtime cannot go on
)

// Exit statuses of supervise's own; any other is the job's.
const (
	ExitFailed        = 1   // a sibling program failed; the owner does not speak the protocol; doctor: no cgroup is to be had
	ExitUsage         = 2   // the command line is wrong
	ExitTimeout       = 124 // --timeout or --cpu-timeout ran out
	ExitFailure       = 125 // supervise failed
	ExitNotExecutable = 126 // the command cannot be executed
	ExitNotFound      = 127 // there is no such command
	ExitSignal        = 128 // plus the number of the signal that ended the main process
)

// A Program is what runs at a command line.
type Program struct {
	Name    string // what each complaint begins with
	Version func() string
	Help    func(topic string) (status int) // prints the help of a command
	Quiet   bool                            // stderr is the job's alone
}

// Complain writes one line to stderr. It ends with what to do, where a limit may be too
// tight for the program itself.
func (p *Program) Complain(err error) {
	if p.Quiet {
		return
	}
	unix.Write(2, []byte(p.Name+": "+OneLine(advise(err))+"\n")) // not os.Stderr: a broken pipe there ends a Go program
}

// Usage complains about the command line and returns the exit status for that.
func (p *Program) Usage(err error) (status int) {
	p.Complain(err)
	return ExitUsage
}

// OneLine puts the message of an error, or of several joined, on one line of printable
// characters.
func OneLine(err error) string {
	return Printable(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// shortages are errors that are often due to a limit.
var shortages = []struct {
	err         error
	few, option string
}{
	{unix.EAGAIN, "too few processes may be allowed here (ulimit -u, pids.max)", "--nproc"},
	{unix.EMFILE, "too few descriptors are allowed here (ulimit -n)", "--nofile"},
	{unix.ENOMEM, "too little memory may be allowed here (ulimit -v)", "--as"},
}

func advise(err error) error {
	for _, s := range shortages {
		if errors.Is(err, s.err) {
			return fmt.Errorf("%w; %s; a limit for the command alone: supervise run -- prlimit %s=N COMMAND", err, s.few, s.option)
		}
	}
	return err
}
