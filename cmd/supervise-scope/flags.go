package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

const program = "supervise-scope"

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
	ownUnit     bool
	probe       bool
	help        bool
}

// flags are in the order of the help text.
func flags() []cli.Flag[options] {
	return []cli.Flag[options]{
		{Name: "pid", Set: addPID},
		{Name: "slice", Set: func(o *options, v string) error { o.slice = v; return cli.NotEmpty(v) }},
		{Name: "description", Set: func(o *options, v string) error { o.description = v; return nil }},
		{Name: "controllers", Set: setControllers},
		{Name: "timeout", Set: setTimeout},
		{Name: "own-unit", Switch: true, Set: func(o *options, v string) error { o.ownUnit = true; return nil }},
		{Name: "attach", Set: func(o *options, v string) error { o.attach = v; return cli.NotEmpty(v) }},
		{Name: "subgroup", Set: func(o *options, v string) error { o.subgroup = v; return nil }},
		{Name: "probe", Switch: true, Set: func(o *options, v string) error { o.probe = true; return nil }},
		{Name: "help", Short: "-h", Switch: true, Set: func(o *options, v string) error { o.help = true; return nil }},
	}
}

// parse reads the command line: --name value, or --name=value.
func parse(args []string) (*options, error) {
	o := &options{timeout: defaultTimeout}
	table := cli.Flags[options]{Hint: program + " --help lists them", List: flags}
	_, rest, err := table.Parse(o, args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q is no flag; %s", rest[0], table.Hint)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.pids) > 0:
	case o.probe: // this process is in the caller's unit; the parent may have changed by now
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
	case o.ownUnit && (o.probe || o.attach != "" || o.slice != "" || o.description != "" || o.controllers != nil):
		return errors.New("--own-unit makes no scope, and excludes what is for one")
	case o.attach != "" && (o.slice != "" || o.description != "" || o.controllers != nil):
		return errors.New("--attach takes an existing scope as it is")
	}
	return nil
}

func addPID(o *options, v string) error {
	pid, err := strconv.ParseUint(v, 10, 31)
	if err != nil || pid == 0 { // to systemd 0 means the process that asks: this one
		return errors.New("want a process number")
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

func setTimeout(o *options, v string) (err error) {
	o.timeout, err = cli.Duration(v)
	if err == nil && o.timeout == 0 {
		err = errors.New("want more than 0")
	}
	return err
}
