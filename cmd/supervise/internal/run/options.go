package run

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/options"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// commandLine is what "supervise run" was given; parse makes it, and from then on only
// resources adds to its limits. The zero values of durations mean none.
type commandLine struct {
	options.Place
	leftovers protocol.Leftovers
	timeout   time.Duration // wall time of the job
	cpuTime   time.Duration // processor time of the whole job; needs a cgroup
	grace     time.Duration // between the signal and the kill
	graceSet  bool          // --grace was given: SIGTERM then starts it as well
	signal    unix.Signal   // sent when the time is up
	name      string

	limits     cgroup.Limits
	resources  string // OCI document with more of them, "": none
	bestEffort bool   // go on where a limit cannot be had

	record      string        // file, "-" or fd:N; "": none
	summary     bool          // on stderr, for people
	sampleEvery time.Duration // 0: never
	samplesFile string        // "": nowhere
	marks       int           // descriptor, -1: none

	owner  int    // descriptor, -1: none
	parent bool   // the owner is the process that started us
	linked string // the job ends when this file has no link left; "": none
	help   bool

	progress time.Duration // how often a line of the terminal is drawn; 0: none is

	pty        bool   // the job has a terminal of its own
	rows, cols uint16 // of that; 0: as the one around

	// What one supervise says to another: see package nested.
	events  int    // descriptor of the binary protocol, -1: none
	program string // to execute instead of argv[0], "": that
	tty     int    // of the job's descriptors the one that becomes its controlling terminal; -1: none
	nested  bool   // below a server, which has chosen the fallback; reason is its word
	reason  string // why the job is in the fallback

	words int // how many argv has, which a program says that was given the flags by another; 0: as many as there are

	argv []string
}

// defaultGrace is as serve's; defaultSample is for --samples without --sample.
const (
	defaultGrace  = 10 * time.Second
	defaultSample = time.Second

	defaultProgress = time.Second
	leastProgress   = 50 * time.Millisecond
)

// wantsNumbers says whether the record, or a part of it, is to be delivered.
func (c *commandLine) wantsNumbers() bool { return c.record != "" || c.summary }

// samples says whether the job is to be sampled: also marks need readings, one each.
func (c *commandLine) samples() bool { return c.sampleEvery > 0 || c.marks >= 0 }

type flag = cli.Flag[commandLine]

// flags are in the order of the help text; a test sees that each is explained there.
func flags() []flag {
	place := options.Flags(func(c *commandLine) *options.Place { return &c.Place })
	list := []flag{
		{Name: "timeout", Set: func(c *commandLine, v string) (err error) { c.timeout, err = cli.Duration(v); return err }},
		{Name: "cpu-timeout", Set: func(c *commandLine, v string) (err error) { c.cpuTime, err = cli.Duration(v); return err }},
		{Name: "grace", Set: func(c *commandLine, v string) (err error) {
			c.graceSet = true
			c.grace, err = cli.Duration(v)
			return err
		}},
		{Name: "signal", Value: "SIGNAL", Set: func(c *commandLine, v string) (err error) { c.signal, err = signals.Parse(v); return err }},
		{Name: "leftovers", Value: "kill|wait|fail", Set: setLeftovers},
	}
	list = append(list, place...)
	return append(list, []flag{
		{Name: "name", Set: setName},
		{Name: "property", Short: "-p", Value: "PROPERTY", Set: setProperty},
		{Name: "resources", Value: "FILE", Set: func(c *commandLine, v string) error { c.resources = v; return cli.NotEmpty(v) }},
		{Name: "best-effort", Switch: true, Set: func(c *commandLine, v string) error { c.bestEffort = true; return nil }},
		{Name: "sample", Set: func(c *commandLine, v string) (err error) { c.sampleEvery, err = cli.Duration(v); return err }},
		{Name: "samples", Value: "FILE", Set: func(c *commandLine, v string) error { c.samplesFile = v; return cli.NotEmpty(v) }},
		{Name: "marks", Set: func(c *commandLine, v string) (err error) { c.marks, err = cli.Descriptor(v); return err }},
		{Name: "record", Value: "FILE", Set: func(c *commandLine, v string) error { c.record = v; return cli.NotEmpty(v) }},
		{Name: "summary", Switch: true, Set: func(c *commandLine, v string) error { c.summary = true; return nil }},
		{Name: "progress", Optional: true, Set: setProgress},
		{Name: "owner", Value: "parent", Set: setOwner},
		{Name: "while-linked", Value: "FILE", Set: func(c *commandLine, v string) error { c.linked = v; return cli.NotEmpty(v) }},
		{Name: "pty", Optional: true, Set: setPTY},
		{Name: "events", Internal: true, Set: func(c *commandLine, v string) (err error) { c.events, err = cli.Descriptor(v); return err }},
		{Name: "program", Internal: true, Set: func(c *commandLine, v string) error { c.program = v; return nil }},
		{Name: "tty", Internal: true, Set: func(c *commandLine, v string) (err error) { c.tty, err = strconv.Atoi(v); return err }},
		{Name: "fallback-reason", Internal: true, Set: func(c *commandLine, v string) error { c.nested, c.reason = true, v; return nil }},
		{Name: "command-words", Internal: true, Set: func(c *commandLine, v string) (err error) { c.words, err = strconv.Atoi(v); return err }},
		{Name: "help", Short: "-h", Switch: true, Set: func(c *commandLine, v string) error { c.help = true; return nil }},
	}...)
}

// flagTable has all flags. Limits have none of their own in it: More finds them by the names
// that package cgroup has.
func flagTable() *cli.Flags[commandLine] {
	return &cli.Flags[commandLine]{
		Command: "run", Hint: "'supervise help run' lists them", List: flags, More: limitFlag, MoreNames: limitFlags,
	}
}

// Flags lists the flags.
func Flags() []cli.About { return flagTable().About() }

// parse reads the arguments behind "run": flags up to the first argument that is none, or
// "--", then the command. Flags behind the command's name are the command's.
func parse(args []string) (*commandLine, error) {
	c := &commandLine{Place: options.Default(), grace: defaultGrace, signal: unix.SIGTERM, owner: -1, events: -1, marks: -1, tty: -1}
	var err error
	if _, c.argv, err = flagTable().Parse(c, args); err != nil {
		return nil, err
	}
	if len(c.argv) == 0 && !c.help {
		return nil, errors.New("run: no command given; try: supervise run -- sleep 10")
	}
	if c.words > 0 && len(c.argv) != c.words && !c.help {
		return nil, fmt.Errorf("run: %q among the flags is none; 'supervise help run' lists them", c.argv[0])
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return c, nil
}

// check finds flags that exclude each other, as far as the command line alone shows it.
// What needs a cgroup and finds none is an error of the place.
func (c *commandLine) check() error {
	if c.samplesFile != "" && c.sampleEvery == 0 {
		c.sampleEvery = defaultSample
	}
	if c.nested { // the server was asked, and has fallen back
		return nil
	}
	if err := c.Check(); err != nil || c.Contain != containment.Subreaper {
		return err
	}
	if c.cpuTime > 0 {
		return errors.New("--cpu-timeout needs a cgroup; it excludes --contain=subreaper")
	}
	if c.samples() {
		return errors.New("--sample and --marks need a cgroup; they exclude --contain=subreaper")
	}
	return nil
}

// setOwner takes fd:N or parent; the last one counts. Descriptor 0 is refused: it is the
// job's input, which supervise would read as well.
func setOwner(c *commandLine, v string) (err error) {
	c.owner, c.parent = -1, v == "parent"
	if c.parent {
		return nil
	}
	c.owner, err = cli.Descriptor(v)
	switch {
	case err == cli.ErrNoDescriptor:
		return errors.New("want parent, or an open descriptor such as fd:3")
	case err != nil:
		return err
	case c.owner == 0:
		return errors.New("the job's input would be taken for the owner's; write: supervise run --owner fd:3 -- COMMAND 3<&0 </dev/null")
	}
	return nil
}

// limitFlag is the flag of a limit; nil: there is none of that name.
func limitFlag(name string) *flag {
	for _, limit := range limitFlags() {
		if limit == name {
			return &flag{Name: name, Value: options.LimitValue(name), Set: func(c *commandLine, v string) error { return c.addLimit(name, v) }}
		}
	}
	return nil
}

// limitFlags are the names of limits as flags; the others, systemd's, are for --property.
func limitFlags() []string {
	names, _ := cgroup.LimitNames()
	return names
}

// addLimit takes a limit by either of its names. Of two for the same file the last
// counts.
func (c *commandLine) addLimit(name, value string) error {
	l, err := options.ParseLimit(name, value)
	c.limits = append(c.limits, l...)
	return err
}

// setProperty takes a limit by systemd's name, as for systemd-run: MemoryMax=1G.
// RuntimeMaxSec is no limit of a cgroup's, so it becomes the timeout.
func setProperty(c *commandLine, v string) (err error) {
	name, value, ok := strings.Cut(v, "=")
	switch {
	case !ok:
		return errors.New("want a property and its value, such as MemoryMax=1G")
	case name == "RuntimeMaxSec":
		c.timeout, err = cli.Duration(value)
		return err
	case name == strings.ToLower(name):
		return fmt.Errorf("want a property such as MemoryMax=1G; or try --%s %s", name, value)
	}
	return c.addLimit(name, value)
}

// setLeftovers takes the word for what becomes of processes that outlive the main
// process.
func setLeftovers(c *commandLine, v string) error {
	switch mode := protocol.Leftovers(v); mode {
	case protocol.LeftoversKill, protocol.LeftoversWait, protocol.LeftoversFail:
		c.leftovers = mode
		return nil
	}
	return errors.New("want kill, wait or fail")
}

// setProgress takes how often the line is drawn.
func setProgress(c *commandLine, v string) (err error) {
	if c.progress = defaultProgress; v == "" {
		return nil
	}
	if c.progress, err = cli.Duration(v); err == nil && c.progress < leastProgress {
		err = fmt.Errorf("want %v or more", leastProgress)
	}
	return err
}

// setName takes the name that the job's cgroup gets: one component of a path (NAME_MAX is
// 255 bytes), and on one line in the output of list.
func setName(c *commandLine, v string) error {
	if len(v) > 255 || strings.ContainsAny(v, "/\n\x00") {
		return errors.New("want at most 255 bytes without slash and newline")
	}
	c.name = v
	return cli.NotEmpty(v)
}
