package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

const defaultTimeout = 5 * time.Second

// options is the command line.
type options struct {
	pids        []int
	slice       string
	description string
	controllers []string // nil: all
	timeout     time.Duration
	attach      string
	subgroup    string
	probe       bool
	help        bool
}

// A flag sets one option; value is "" for a switch.
type flag struct {
	name     string
	isSwitch bool
	set      func(o *options, value string) error
}

// flags is in the order of the help text.
var flags = []flag{
	{"pid", false, addPID},
	{"slice", false, func(o *options, v string) error { o.slice = v; return notEmpty(v) }},
	{"description", false, func(o *options, v string) error { o.description = v; return nil }},
	{"controllers", false, setControllers},
	{"timeout", false, setTimeout},
	{"attach", false, func(o *options, v string) error { o.attach = v; return notEmpty(v) }},
	{"subgroup", false, func(o *options, v string) error { o.subgroup = v; return nil }},
	{"probe", true, func(o *options, v string) error { o.probe = true; return nil }},
	{"help", true, func(o *options, v string) error { o.help = true; return nil }},
}

// parse reads the command line: --name value, or --name=value.
func parse(args []string) (*options, error) {
	o := &options{timeout: defaultTimeout}
	for len(args) > 0 {
		n, err := o.parseFlag(args)
		if err != nil {
			return nil, err
		}
		args = args[n:]
	}
	switch {
	case len(o.pids) > 0:
	case o.probe: // is in the caller's unit, whoever the parent is by now
		o.pids = []int{os.Getpid()}
	default:
		o.pids = []int{os.Getppid()}
	}
	return o, o.check()
}

// check refuses what does not go together.
func (o *options) check() error {
	switch {
	case o.probe && o.attach != "":
		return errors.New("--probe and --attach exclude each other")
	case o.subgroup != "" && o.attach == "":
		return errors.New("--subgroup goes with --attach")
	case o.attach != "" && (o.slice != "" || o.description != "" || o.controllers != nil):
		return errors.New("--attach takes an existing scope as it is")
	}
	return nil
}

// parseFlag sets the flag that args begin with and says how many arguments it took.
func (o *options) parseFlag(args []string) (n int, err error) {
	name, value, hasValue := strings.Cut(args[0], "=")
	if name == "-h" {
		name = "--help"
	}
	f, err := findFlag(name)
	if err != nil {
		return 0, err
	}
	n = 1
	switch {
	case f.isSwitch && hasValue:
		return 0, fmt.Errorf("--%s takes no value", f.name)
	case !f.isSwitch && !hasValue:
		if len(args) < 2 {
			return 0, fmt.Errorf("--%s needs a value", f.name)
		}
		value, n = args[1], 2
	}
	if err := f.set(o, value); err != nil {
		return 0, fmt.Errorf("--%s: %w", f.name, err)
	}
	return n, nil
}

func findFlag(arg string) (flag, error) {
	name, dashed := strings.CutPrefix(arg, "--")
	for _, f := range flags {
		if dashed && f.name == name {
			return f, nil
		}
	}
	return flag{}, fmt.Errorf("no flag %q; supervise-scope --help lists them", arg)
}

func notEmpty(v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func addPID(o *options, v string) error {
	pid, err := strconv.ParseUint(v, 10, 31)
	if err != nil || pid == 0 { // to systemd 0 means whoever asks: us
		return fmt.Errorf("%q is not a process number", v)
	}
	o.pids = append(o.pids, int(pid))
	return nil
}

// setControllers splits a list at spaces or commas. An empty one delegates the
// cgroup and no controller.
func setControllers(o *options, v string) error {
	o.controllers = strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' })
	return nil
}

// setTimeout reads 500ms, 1m30s, or seconds without a unit.
func setTimeout(o *options, v string) error {
	d, err := time.ParseDuration(v)
	if seconds, e := strconv.ParseFloat(v, 64); e == nil && seconds < math.MaxInt32 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time such as 5s or 500ms", v)
	}
	o.timeout = d
	return nil
}
