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

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/binary"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/doctor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/run"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/serve"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// One thread does everything: signals to the process wake the one that sleeps in
// poll(2), and all children are that thread's.
func init() { runtime.LockOSThread() }

func main() {
	signals.Init()
	cgroup.Init()
	resident.Shield()
	if args, ok := guardian.Invoked(); ok {
		if containment.Clean(args) != nil {
			os.Exit(cli.ExitFailure)
		}
		return
	}
	p := &cli.Program{Name: "supervise", Version: version, Help: help}
	if len(os.Args) <= 1 {
		os.Exit(binary.Main(p))
	}
	if binary.IsText(os.Args[1:]) {
		os.Exit(binary.Text(p, os.Args[1:]))
	}
	os.Exit(command(p, os.Args[1], os.Args[2:]))
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
	case "version", "--version":
		fmt.Println("supervise", version())
		return 0
	case "help", "--help", "-h":
		if len(args) == 0 {
			return help("")
		}
		if helpTexts[args[0]] == "" {
			return p.Usage(fmt.Errorf("help: no command %q%s", args[0], cli.DidYouMean(args[0], []string{"run", "serve", "doctor"})))
		}
		return help(args[0])
	}
	known := []string{"run", "serve", "doctor", "version", "help"}
	return p.Usage(fmt.Errorf("no command %q%s; 'supervise run -- %s' runs a program, 'supervise help' lists the commands",
		name, cli.DidYouMean(name, known), name))
}

// version is the release, unless the Go tool put another tag, or a pseudo-version, into
// the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return release
	}
	return info.Main.Version
}

// release is the version of this source.
const release = "v1.0.0"
