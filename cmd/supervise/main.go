// Supervise runs commands so that nothing they start can outlive them. See
// README.md, and "supervise help".
//
// Neither the number of processors that a cgroup grants nor the names of mappings
// matter to a process that sleeps, and to find them out costs start-up time.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
)

// Exit statuses of our own; anything else is the job's.
const (
	exitRubbish       = 1   // the owner does not speak the protocol
	exitUnavailable   = 1   // doctor: cgroup containment is not to be had
	exitUsage         = 2   // the command line is wrong
	exitTimeout       = 124 // --timeout ran out
	exitFailure       = 125 // we failed
	exitNotExecutable = 126 // the command cannot be executed
	exitNotFound      = 127 // there is no such command
	exitSignal        = 128 // plus the signal that ended the main process
)

// One thread does everything: signals to the process wake the one that sleeps in
// poll(2), and all children are that thread's.
func init() { runtime.LockOSThread() }

func main() {
	cgroup.Init()
	if args, ok := guardian.Invoked(); ok {
		if clean(args) != nil {
			os.Exit(exitFailure)
		}
		return
	}
	if len(os.Args) <= 1 {
		os.Exit(seed())
	}
	os.Exit(command(os.Args[1], os.Args[2:]))
}

// command runs a subcommand.
func command(name string, args []string) int {
	switch name {
	case "run":
		return run(args)
	case "serve":
		return serve(args)
	case "doctor":
		return doctor(args)
	case "version", "--version":
		fmt.Println("supervise", version())
		return 0
	case "help", "--help", "-h":
		return help(args)
	}
	known := []string{"run", "serve", "doctor", "version", "help"}
	return usage(fmt.Errorf("no command %q%s; 'supervise run -- %s' runs a program, 'supervise help' lists the commands",
		name, didYouMean(name, known), name))
}

// version is what the Go tool put into the binary: a tag, or a pseudo-version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// quiet is set where stderr is not for us.
var quiet bool

// complain writes one line to stderr.
func complain(err error) {
	if quiet {
		return
	}
	unix.Write(2, []byte("supervise: "+oneLine(err)+"\n")) // not os.Stderr, whose broken pipe would kill us
}

// oneLine puts the message of an error, or of several joined, on one line.
func oneLine(err error) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ReplaceAll(err.Error(), "\n", "; "))
}

func usage(err error) int {
	complain(err)
	return exitUsage
}
