// Package doctor says how a job would be held here and why, and what would give more:
//
//	host (where we are), probe (the managers' answers), cgroup.View ──> Diagnosis
//	Diagnosis ──> shortcomings, a table of conditions ──> fixes
//	all of it ──> text, one screen, or JSON
package doctor

import (
	"errors"
	"fmt"
	"os"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// commandLine holds the flags of "supervise doctor".
type commandLine struct{ json, plan, help bool }

func flags() []cli.Flag[commandLine] {
	return []cli.Flag[commandLine]{
		{Name: "json", Switch: true, Set: func(c *commandLine, _ string) error { c.json = true; return nil }},
		{Name: "fix-plan", Switch: true, Set: func(c *commandLine, _ string) error { c.plan = true; return nil }},
		{Name: "help", Short: "-h", Switch: true, Set: func(c *commandLine, _ string) error { c.help = true; return nil }},
	}
}

func flagTable() *cli.Flags[commandLine] {
	return &cli.Flags[commandLine]{Command: "doctor", Hint: "'supervise help doctor' tells more", List: flags}
}

// Flags lists the flags.
func Flags() []cli.About { return flagTable().About() }

// Main is "supervise doctor". It returns the exit status.
func Main(p *cli.Program, args []string) int {
	o := &commandLine{}
	_, rest, err := flagTable().Parse(o, args)
	switch {
	case err != nil:
		return p.Usage(err)
	case len(rest) > 0:
		return p.Usage(fmt.Errorf("doctor: no argument %s; %s", rest[0], flagTable().Hint))
	case o.help:
		return p.Help("doctor")
	case o.json && o.plan:
		return p.Usage(errors.New("doctor: --json has the commands of --fix-plan; give one of the two"))
	}
	d, err := diagnose(p.Version())
	if d != nil {
		err = errors.Join(d.print(o), err)
	}
	switch {
	case err != nil:
		p.Complain(fmt.Errorf("doctor: %w", err))
		return cli.ExitFailure
	case d.Containment != protocol.ContainmentCgroup && !o.plan:
		return cli.ExitFailed
	}
	return 0
}

// A diagnosis is the one of the protocol, being written.
type diagnosis struct{ protocol.Diagnosis }

// diagnose looks first, since to try moves us. A diagnosis with an error means
// that we have left something behind.
func diagnose(version string) (*diagnosis, error) {
	caught, err := signals.Catch(signals.Fatal) // before there is anything to leave behind
	if err != nil {
		return nil, err
	}
	view := cgroup.Inspect()
	d := &diagnosis{protocol.Diagnosis{
		Schema: protocol.DiagnosisSchema, Version: version,
		Place: findHost("/", os.Geteuid(), os.Getenv), Bus: askBus(caught.FD()),
	}}
	obey(caught)
	d.setView(view)
	err = d.try(view)
	obey(caught)
	d.Fixes = fixes(&d.Diagnosis)
	return d, err
}

// obey ends us by a signal that has come. There is nothing to leave behind now.
func obey(caught *signals.Caught) {
	for _, sig := range caught.Read() {
		if !sig.Held {
			signals.DieOf(sig.Signal)
		}
	}
}

// try makes a job's cgroup, tests the features in it and removes it. The error is one of the
// removal: a refused containment is part of the diagnosis.
func (d *diagnosis) try(view *cgroup.View) error {
	p, err := containment.Try(&containment.Options{JobName: "doctor", Mode: containment.Cgroup, Patience: containment.DefaultPatience})
	if err != nil {
		d.Containment, d.Reason = protocol.ContainmentSubreaper, new(cli.OneLine(err))
		d.setFeatures(view.Features(nil))
		return nil
	}
	d.Containment, d.Reason = protocol.ContainmentCgroup, notBlank(p.Reason())
	root, road := p.Session().Root()
	d.Root, d.Road = &root, new(string(road))
	view.Lead(root) // it may be a scope of systemd's, or our parent
	d.setChain(view)
	d.setFeatures(view.Features(p.Job().Job))
	return p.Close()
}

// limitControllers are those that limits need.
var limitControllers = []string{"cpu", "cpuset", "io", "memory", "pids"}

func (d *diagnosis) setView(v *cgroup.View) {
	if v.Err != nil {
		d.Reason = new(cli.OneLine(v.Err))
	}
	if v.Mount != nil {
		d.Mount = &protocol.CgroupMount{Point: v.Mount.Point, Root: v.Mount.Root, Shown: v.Mount.Shown, ReadOnly: v.Mount.ReadOnly}
	}
	if v.Own != "" {
		d.Cgroup = &v.Own
	}
	if v.Others >= 0 {
		d.Others = &v.Others
	}
	d.Top, d.V1 = v.Top, list(v.V1)
	d.setChain(v)
}

func (d *diagnosis) setChain(v *cgroup.View) {
	d.Chain, d.Controllers = []protocol.CgroupOnPath{}, nil
	for _, a := range v.Ancestors {
		d.Chain = append(d.Chain, onPath(a))
	}
	for _, name := range limitControllers {
		d.Controllers = append(d.Controllers, controller(v, name))
	}
}

// list makes a nil list an empty one, so that JSON has no null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func onPath(a cgroup.Ancestor) protocol.CgroupOnPath {
	c := protocol.CgroupOnPath{
		Name: a.Name, Path: a.Path, Writable: a.Writable, Delegated: a.Delegated,
		Controllers: list(a.Controllers), SubtreeControl: list(a.Subtree),
	}
	if a.UID >= 0 {
		c.UID = &a.UID
	}
	if a.Err != nil {
		c.Error = new(cli.OneLine(a.Err))
	}
	return c
}

func controller(v *cgroup.View, name string) protocol.Controller {
	at, why := v.Stops(name)
	c := protocol.Controller{Name: name, Available: why == cgroup.NoBarrier}
	if at != nil && !c.Available {
		c.StopsAt = &at.Name
	}
	return c
}

func (d *diagnosis) setFeatures(features []cgroup.Feature) {
	for _, f := range features {
		p := protocol.Feature{Name: f.Name}
		if f.Answer != cgroup.Unknown {
			p.Works = new(f.Answer == cgroup.Yes)
		}
		if f.Detail != "" {
			p.Detail = new(f.Detail)
		}
		d.Features = append(d.Features, p)
	}
}

// print writes the diagnosis to stdout.
func (d *diagnosis) print(o *commandLine) error {
	var text []byte
	switch {
	case o.plan:
		text = []byte(d.plan())
	case o.json:
		b, err := protocol.Marshal(d)
		if err != nil {
			return err
		}
		text = append(b, '\n')
	default:
		text = []byte(d.text())
	}
	_, err := os.Stdout.Write(text)
	return err
}
