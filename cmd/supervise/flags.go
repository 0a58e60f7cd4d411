package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// Modes of --contain.
const (
	containAuto      = "auto"
	containCgroup    = "cgroup"
	containSubreaper = "subreaper"
)

// runOptions is the command line of "supervise run", and of "serve", which has some of it.
type runOptions struct {
	command   string // run or serve
	leftovers supervisor.Leftovers
	timeout   time.Duration
	cpuTime   time.Duration
	grace     time.Duration
	graceSet  bool
	signal    unix.Signal
	contain   string
	cgroup    string
	slice     string // for a scope
	name      string
	limits    cgroup.Limits
	resources string // OCI document with more of them, "": none
	record    string
	summary   bool

	sampleEvery time.Duration // 0: never
	samplesFile string        // "": nowhere
	samplesFD   int
	marks       int  // descriptor, -1: none
	bestEffort  bool // go on where a limit cannot be had
	noGuard     bool
	owner       int    // descriptor, -1: none
	linked      string // the job ends when this file has no link left; "": none
	events      int    // descriptor of the binary protocol, -1: none
	program     string // to execute instead of argv[0], "": that
	guarded     bool   // by another supervise, whose word the next is, and who is the owner
	reason      string // why the job is in the fallback
	help        bool

	systemdTimeout time.Duration // for all that the service manager is asked

	argv  []string
	flags []string // as they were given, for the guarded supervise
}

const (
	defaultGrace          = 10 * time.Second
	defaultSystemdTimeout = 5 * time.Second
	defaultSample         = time.Second
)

// wantsNumbers says whether anybody will be told what the job used.
func (o *runOptions) wantsNumbers() bool { return o.record != "" || o.summary }

// A runFlag sets one option; value is nil for a switch that was given none.
type runFlag struct {
	name     string
	isSwitch bool
	set      func(o *runOptions, value string) error
}

// runFlags is in the order of the help text.
var runFlags = []runFlag{
	{"timeout", false, func(o *runOptions, v string) error { return parseDuration(&o.timeout, v) }},
	{"cpu-timeout", false, func(o *runOptions, v string) error { return parseDuration(&o.cpuTime, v) }},
	{"grace", false, func(o *runOptions, v string) error { o.graceSet = true; return parseDuration(&o.grace, v) }},
	{"signal", false, func(o *runOptions, v string) error { return parseSignal(&o.signal, v) }},
	{"leftovers", false, setLeftovers},
	{"contain", false, setContain},
	{"cgroup", false, func(o *runOptions, v string) error { o.cgroup = v; return notEmpty(v) }},
	{"slice", false, func(o *runOptions, v string) error { o.slice = v; return notEmpty(v) }},
	{"systemd-timeout", false, setSystemdTimeout},
	{"name", false, setName},
	{"property", false, setProperty},
	{"resources", false, func(o *runOptions, v string) error { o.resources = v; return notEmpty(v) }},
	{"best-effort", true, func(o *runOptions, v string) error { o.bestEffort = true; return nil }},
	{"sample", false, func(o *runOptions, v string) error { return parseDuration(&o.sampleEvery, v) }},
	{"samples", false, func(o *runOptions, v string) error { o.samplesFile = v; return notEmpty(v) }},
	{"marks", false, setMarks},
	{"record", false, func(o *runOptions, v string) error { o.record = v; return notEmpty(v) }},
	{"summary", true, func(o *runOptions, v string) error { o.summary = true; return nil }},
	{"owner", false, setOwner},
	{"while-linked", false, func(o *runOptions, v string) error { o.linked = v; return notEmpty(v) }},
	{"no-guard", true, func(o *runOptions, v string) error { o.noGuard = true; return nil }},
	{"events", false, func(o *runOptions, v string) (err error) { o.events, err = parseFD(v); return err }}, // for serve: see nested
	{"program", false, func(o *runOptions, v string) error { o.program = v; return nil }},
	{"fallback-reason", false, func(o *runOptions, v string) error { o.guarded, o.reason = true, v; return nil }},
	{"help", true, func(o *runOptions, v string) error { o.help = true; return nil }},
}

// parseRun reads the arguments behind "run": flags up to the first argument that
// is none, or "--", then the command.
func parseRun(args []string) (*runOptions, error) {
	o := newOptions("run")
	rest, err := o.parseFlags(args)
	if err != nil {
		return nil, err
	}
	o.argv = rest
	if len(rest) == 0 && !o.help {
		return nil, errors.New("run: no command given; try: supervise run -- sleep 10")
	}
	return o, o.check()
}

func newOptions(command string) *runOptions {
	return &runOptions{
		command: command, grace: defaultGrace, signal: unix.SIGTERM, contain: containAuto, owner: -1, events: -1, marks: -1, samplesFD: -1,
		systemdTimeout: defaultSystemdTimeout,
	}
}

// serveFlags are those that serve has as well.
var serveFlags = []string{"contain", "cgroup", "slice", "systemd-timeout", "no-guard", "help"}

// parseServe reads the arguments behind "serve".
func parseServe(args []string) (*runOptions, error) {
	o := newOptions("serve")
	rest, err := o.parseFlags(args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("serve: what is %q? jobs come by the protocol; 'supervise run -- %s' runs one", rest[0], rest[0])
	}
	if err != nil {
		return nil, err
	}
	return o, o.check()
}

// parseFlags reads flags, and returns what is behind them.
func (o *runOptions) parseFlags(args []string) (rest []string, err error) {
	rest = args
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") && rest[0] != "-" {
		if rest[0] == "--" {
			rest = rest[1:]
			break
		}
		n, err := o.parseFlag(rest)
		if err != nil {
			return nil, err
		}
		o.flags = append(o.flags, rest[:n]...)
		rest = rest[n:]
	}
	return rest, nil
}

// check finds what excludes each other.
func (o *runOptions) check() error {
	if o.cgroup != "" && o.contain == containSubreaper {
		return errors.New(o.command + ": --cgroup and --contain=subreaper exclude each other")
	}
	if o.cpuTime > 0 && o.contain == containSubreaper {
		return errors.New(o.command + ": --cpu-timeout needs a cgroup; it excludes --contain=subreaper")
	}
	if o.samplesFile != "" && o.sampleEvery == 0 {
		o.sampleEvery = defaultSample
	}
	if (o.sampleEvery > 0 || o.marks >= 0) && o.contain == containSubreaper {
		return errors.New(o.command + ": --sample and --marks need a cgroup; they exclude --contain=subreaper")
	}
	if o.slice != "" && (o.cgroup != "" || o.contain == containSubreaper) {
		return errors.New(o.command + ": --slice is for a scope made by systemd; it excludes --cgroup and --contain=subreaper")
	}
	return nil
}

// parseFlag sets the flag that rest begins with and says how many arguments it
// took.
func (o *runOptions) parseFlag(rest []string) (n int, err error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(rest[0], "-"), "=")
	switch rest[0] {
	case "-h":
		name = "help"
	case "-p":
		name = "property"
	}
	f, err := o.findFlag(name, rest[0])
	if err != nil {
		return 0, err
	}
	switch {
	case f.isSwitch && hasValue:
		return 0, fmt.Errorf("%s: --%s takes no value", o.command, name)
	case f.isSwitch:
		return 1, f.set(o, "")
	case hasValue:
		n = 1
	case len(rest) < 2:
		return 0, fmt.Errorf("%s: --%s needs a value", o.command, name)
	default:
		value, n = rest[1], 2
	}
	if err := f.set(o, value); err != nil {
		return 0, fmt.Errorf("%s: --%s %q: %w", o.command, name, value, err)
	}
	return n, nil
}

func (o *runOptions) findFlag(name, arg string) (*runFlag, error) {
	var known []string
	for i, f := range runFlags {
		if o.command == "serve" && !slices.Contains(serveFlags, f.name) {
			continue
		}
		if f.name == name && (strings.HasPrefix(arg, "--"+name) || arg == "-h" || arg == "-p") {
			return &runFlags[i], nil
		}
		known = append(known, "--"+f.name)
	}
	limits, _ := cgroup.LimitNames()
	for _, limit := range limits {
		if o.command == "serve" {
			break // each job has its own
		}
		if limit == name && strings.HasPrefix(arg, "--"+name) {
			return &runFlag{name, false, func(o *runOptions, v string) error { return o.addLimit(name, v) }}, nil
		}
		known = append(known, "--"+limit)
	}
	return nil, fmt.Errorf("%s: no flag %s%s; 'supervise help %s' lists them", o.command, arg, didYouMean("--"+name, known), o.command)
}

// addLimit takes a limit by either of its names.
func (o *runOptions) addLimit(name, value string) error {
	l, err := parseLimit(name, value)
	o.limits = append(o.limits, l...)
	return err
}

// parseLimit is cgroup.ParseLimit, and suggests a name that is known.
func parseLimit(name, value string) (cgroup.Limits, error) {
	l, err := cgroup.ParseLimit(name, value)
	var unknown *cgroup.UnknownLimitError
	if errors.As(err, &unknown) {
		flags, properties := cgroup.LimitNames()
		err = fmt.Errorf("%w%s", err, didYouMean(name, append(flags, properties...)))
	}
	return l, err
}

// setProperty takes a limit by systemd's name, as for systemd-run: MemoryMax=1G.
func setProperty(o *runOptions, v string) error {
	name, value, ok := strings.Cut(v, "=")
	switch {
	case !ok:
		return errors.New("want a property and its value, such as MemoryMax=1G")
	case name == "RuntimeMaxSec":
		return parseDuration(&o.timeout, value)
	case name == strings.ToLower(name):
		return fmt.Errorf("want a property such as MemoryMax=1G; or try --%s %s", name, value)
	}
	return o.addLimit(name, value)
}

// didYouMean names the nearest of the known words, if one is near.
func didYouMean(word string, known []string) string {
	best, least := "", len(word)/2+1
	if len(word) > 50 {
		return "" // no misspelling, and the time grows with its length
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
