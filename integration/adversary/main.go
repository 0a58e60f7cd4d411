// Command adversary is the hostile job of the integration tests: one mode for each way to get away from a supervisor.
//
// When a mode is set up it prints the line "ready" on stdout. It ends, with the status of -exit, when its stdin ends; what it
// started does not. Everything it starts keeps descriptor 3 open, a pipe of the test: its EOF says that all are gone.
//
// Trees are made by a raw fork without exec (raw.go), so that a thousand processes cost one program, and so that
// RLIMIT_NPROC counts processes and not the threads of a thousand Go runtimes.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// options are the flags of all modes.
type options struct {
	count  int
	uid    int
	exit   int
	pause  int
	cgroup string
	do     string
}

// late is what can only be done when the line ready is out.
var late []func() error

// A mode sets up its tree and returns when it is complete.
type mode struct {
	set  func(o options) error
	what string
}

var modes = map[string]mode{
	"hold":        {func(options) error { return nil }, "do nothing"},
	"setsid":      {setsid, "children in sessions of their own"},
	"daemon":      {daemon, "daemons: a double fork with a setsid between, stdio closed"},
	"stubborn":    {stubborn, "ignore HUP, INT, QUIT and TERM, and so do the children (nohup)"},
	"subreaper":   {subreaper, "a child that is a subreaper, with orphans of its own"},
	"stopped":     {stopped, "children stopped by SIGSTOP, and children of those"},
	"bomb":        {bomb, "a fork bomb below RLIMIT_NPROC = -count, as -uid if that is not 0"},
	"vfork":       {vfork, "threads that hang in vfork, their children not yet exec'ed"},
	"setuid":      {setuid, "children of the user -uid"},
	"move":        {move, "a daemon and the program itself move to the cgroup directory -cgroup"},
	"rooted":      {rooted, "the program itself becomes root, as the setuid copy of it can, and moves to the cgroup directory -cgroup"},
	"freeze":      {freeze, "children in a frozen sub-cgroup"},
	"freeze-self": {freezeSelf, "freeze the own cgroup, right after the line ready"},
	"nest":        {nest, "sub-cgroups nested -count deep, a child in each, all of mode 000"},
	"zombies":     {zombies, "-count children that have ended and are not waited for"},
	"busy":        {busy, "-count lineages: each process forks its successor, writes a dot to stdout and ends"},
	"linger":      {linger, "a child that lives until descriptor 4 ends"},
	"signals":     {signals, "print a line for each signal; TERM ends it only with -exit 0"},
	"flood":       {flood, "send the parent -count signals as fast as possible"},
	"attack":      {attack, "what -do names, one after the other, as a user of its own"},
	"hang":        {hang, "a child whose command line cannot be read before its parent, a FUSE server, has ended"},
	"headless":    {headless, "children whose first thread has exited, while another lives"},
	"bomb-root":   {bombRoot, "(the first process of bomb)"},
	"hang-server": {hangServer, "(the server of hang)"},
	"hang-victim": {hangVictim, "(its child)"},

	"headless-child": {headlessChild, "(a child of headless)"},
}

func main() {
	// A forked child must not find a collection or a preemption half done.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	readClock(&birth)
	if len(os.Args) < 2 || modes[os.Args[1]].set == nil {
		usage()
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.IntVar(&o.count, "count", 4, "how many")
	flags.IntVar(&o.uid, "uid", 0, "the other user")
	flags.IntVar(&o.exit, "exit", 0, "status to end with")
	flags.IntVar(&o.pause, "pause", 0, "microseconds between the steps of busy")
	flags.StringVar(&o.cgroup, "cgroup", "", "directory of another cgroup")
	flags.StringVar(&o.do, "do", "", "attacks, with commas between")
	flags.Parse(os.Args[2:])
	if err := modes[os.Args[1]].set(o); err != nil {
		fmt.Fprintf(os.Stderr, "adversary %s: %v\n", os.Args[1], err)
		os.Exit(99)
	}
	// A line of its own, in one write: busy has written dots by now.
	fmt.Print("\nready\n")
	for _, blow := range late {
		blow()
	}
	io.Copy(io.Discard, os.Stdin)
	os.Exit(o.exit)
}

func usage() {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		fmt.Fprintf(&lines, "  %-12s %s\n", name, modes[name].what)
	}
	fmt.Fprintf(os.Stderr, "usage: adversary MODE [flags]\n%s", lines.String())
	os.Exit(2)
}
