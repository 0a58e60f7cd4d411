// Package command is the command line of supervise: what is to be done, by the first
// arguments.
package command

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/binary"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/doctor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pipeline"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/run"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/serve"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/steer"
)

// Main is supervise, from the arguments in os.Args to the exit status.
func Main() (status int) {
	resident.GrowStack(false)
	signals.Init()
	cgroup.Init()
	resident.Shield()
	if args, ok := guardian.Invoked(); ok {
		resident.TakeName("guardian")
		if containment.Clean(args) != nil {
			return cli.ExitFailure
		}
		return 0
	}
	p := &cli.Program{Name: "supervise", Version: cli.Version, Help: help}
	if len(os.Args) <= 1 {
		return binary.Main(p)
	}
	if binary.IsText(os.Args[1:]) {
		return binary.Text(p, os.Args[1:])
	}
	return command(p, os.Args[1], os.Args[2:])
}

// command runs a subcommand and returns the exit status.
func command(p *cli.Program, name string, args []string) int {
	switch name {
	case "run":
		return run.Main(p, args)
	case "serve":
		return serve.Main(p, args)
	case "doctor":
		return doctor.Main(p, args)
	case "list", "stat", "signal", "kill", "freeze", "thaw", "limit", "metrics":
		return steer.Main(p, name, args)
	case "top", "report":
		return sibling(p, name, args)
	case "pipeline": // of supervise serve's: it is in no help text
		return pipeline.Main(p, args)
	case "version", "--version":
		fmt.Println("supervise", cli.Version())
		return 0
	case "help", "--help", "-h":
		if len(args) == 0 {
			return help("")
		}
		if slices.Contains(siblings, args[0]) {
			return sibling(p, args[0], []string{"--help"})
		}
		if helpTexts[args[0]] == "" {
			return p.Usage(fmt.Errorf("help: no command %q%s", args[0], cli.DidYouMean(args[0], slices.Sorted(maps.Keys(helpTexts)))))
		}
		return help(args[0])
	}
	return p.Usage(fmt.Errorf("no command %q%s; 'supervise run -- %s' runs a program, 'supervise help' lists the commands",
		name, cli.DidYouMean(name, commands()), name))
}

// commands are those of command, in the order of the help text.
func commands() []string {
	return slices.Concat([]string{"run", "serve"}, steer.Names, siblings, []string{"doctor", "version", "help"})
}

// siblings are those that are programs of their own.
var siblings = []string{"top", "report"}

// sibling becomes the program that does what has a program of its own. It returns only if
// there is none.
func sibling(p *cli.Program, name string, args []string) int {
	file, err := program.FindSibling("supervise-" + name)
	if err == nil {
		err = unix.Exec(file, append([]string{"supervise-" + name}, args...), os.Environ())
		err = fmt.Errorf("executing %s: %w", file, err)
	}
	p.Complain(fmt.Errorf("%s: it is a program of its own, which is to be installed beside supervise: %w", name, err))
	return cli.ExitFailure
}
