// Package steer is the commands that look at the jobs of any supervise on this machine, and
// act on them: list, stat, signal, kill, freeze, thaw, limit and metrics. There is no daemon behind them:
// package jobs reads what the kernel has.
package steer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/options"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Names are the commands, in the order of the help text.
var Names = []string{"list", "stat", "signal", "kill", "freeze", "thaw", "limit", "metrics"}

// commandLine is what such a command was given.
type commandLine struct {
	json, all, help bool
	grace           time.Duration
	limits          cgroup.Limits
	openMetrics     bool
	output          string // file; "": stdout
}

type flag = cli.Flag[commandLine]

// flagsOf are the flags of each command, but for --help.
var flagsOf = map[string][]flag{
	"list":   {jsonFlag, allFlag},
	"stat":   {jsonFlag},
	"signal": {allFlag},
	"kill":   {{Name: "grace", Set: func(c *commandLine, v string) (err error) { c.grace, err = cli.Duration(v); return err }}},
	"metrics": {
		{Name: "openmetrics", Switch: true, Set: func(c *commandLine, _ string) error { c.openMetrics = true; return nil }},
		{Name: "output", Short: "-o", Value: "FILE", Set: func(c *commandLine, v string) error { c.output = v; return cli.NotEmpty(v) }},
	},
}

var (
	jsonFlag = flag{Name: "json", Switch: true, Set: func(c *commandLine, _ string) error { c.json = true; return nil }}
	allFlag  = flag{Name: "all", Switch: true, Set: func(c *commandLine, _ string) error { c.all = true; return nil }}
	helpFlag = flag{Name: "help", Short: "-h", Switch: true, Set: func(c *commandLine, _ string) error { c.help = true; return nil }}
)

// Main is one of the commands. It returns the exit status.
func Main(p *cli.Program, name string, args []string) int {
	c := &commandLine{}
	words, err := parse(c, name, args)
	switch {
	case err != nil:
		return p.Usage(err)
	case c.help:
		return p.Help(name)
	case name == "list":
		err = list(c, p.Version())
	case name == "metrics":
		err = metrics(c, p.Version())
	case name == "stat":
		err = stat(c, p.Version(), words[0])
	default:
		err = c.each(name, words)
	}
	if err != nil {
		p.Complain(fmt.Errorf("%s: %w", name, err))
		return cli.ExitFailure
	}
	return 0
}

// flagTable has the flags of a command.
func flagTable(name string) *cli.Flags[commandLine] {
	t := &cli.Flags[commandLine]{
		Command: name, Hint: fmt.Sprintf("'supervise help %s' lists them", name),
		List: func() []flag { return append(slices.Clone(flagsOf[name]), helpFlag) },
	}
	if name == "limit" {
		t.More, t.MoreNames = limitFlag, limitFlags
	}
	return t
}

// Flags lists the flags of a command.
func Flags(name string) []cli.About { return flagTable(name).About() }

// parse reads the arguments: flags may be behind the words. It checks how many words there are.
func parse(c *commandLine, name string, args []string) (words []string, err error) {
	for rest := args; len(rest) > 0; {
		if _, rest, err = flagTable(name).Parse(c, rest); err != nil {
			return nil, err
		}
		if len(rest) > 0 {
			words, rest = append(words, rest[0]), rest[1:]
		}
	}
	if c.help {
		return nil, nil
	}
	wanted, most := 1, 1<<20
	switch name {
	case "list", "metrics":
		wanted, most = 0, 0
	case "stat", "limit":
		most = 1
	case "signal":
		wanted = 2
	}
	switch {
	case len(words) < wanted:
		return nil, fmt.Errorf("%s: %s is missing; 'supervise list' shows the jobs", name, map[bool]string{true: "a job", false: "a signal, or a job,"}[wanted == 1])
	case len(words) > most:
		return nil, fmt.Errorf("%s: one argument too many: %q", name, words[most])
	case name == "limit" && len(c.limits) == 0:
		return nil, errors.New("limit: no limit given; try: supervise limit JOB --memory-max 2G")
	}
	return words, nil
}

func limitFlags() []string {
	names, _ := cgroup.LimitNames()
	return names
}

func limitFlag(name string) *flag {
	if !slices.Contains(limitFlags(), name) {
		return nil
	}
	return &flag{Name: name, Value: options.LimitValue(name), Set: func(c *commandLine, v string) error {
		l, err := options.ParseLimit(name, v)
		c.limits = append(c.limits, l...)
		return err
	}}
}

// each acts on the jobs that the words name, one after the other. One that fails keeps none of
// the others.
func (c *commandLine) each(name string, words []string) error {
	var sig unix.Signal
	if name == "signal" {
		var err error
		if sig, err = signals.Parse(words[0]); err != nil {
			return err
		}
		words = words[1:]
	}
	var failed []error
	for _, word := range words {
		j, err := jobs.Open(word)
		if err == nil {
			err = c.act(name, j, sig)
			j.Close()
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (c *commandLine) act(name string, j *jobs.Job, sig unix.Signal) error {
	switch name {
	case "signal":
		return j.Signal(sig, c.all)
	case "kill":
		return j.Kill(c.grace)
	case "freeze":
		return j.Freeze()
	case "thaw":
		return j.Thaw()
	}
	return j.Limit(c.limits)
}

// list prints the jobs of this user, or of all.
func list(c *commandLine, version string) error {
	found, err := jobs.Find(nil)
	if uid := os.Geteuid(); uid != 0 && !c.all {
		found = slices.DeleteFunc(found, func(j *jobs.Job) bool { return j.UID != uid })
	}
	if !c.json {
		_, e := os.Stdout.WriteString(listText(found))
		return errors.Join(e, err)
	}
	l := protocol.List{Schema: protocol.ListSchema, Version: version, Jobs: []protocol.ListedJob{}}
	for _, j := range found {
		l.Jobs = append(l.Jobs, j.ListedJob)
	}
	return errors.Join(printJSON(l), err)
}

// stat prints what one job has used so far.
func stat(c *commandLine, version, word string) error {
	j, err := jobs.Open(word)
	if err != nil {
		return err
	}
	defer j.Close()
	s, err := statOf(j, version)
	procs, e := j.Procs()
	if e == nil {
		s.Procs = procs
	}
	err = errors.Join(err, e)
	if c.json {
		return errors.Join(printJSON(s), err)
	}
	_, e = os.Stdout.WriteString(statText(s))
	return errors.Join(e, err)
}
