package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// doctor is "supervise doctor": what this place gives, and what would give more.
func doctor(args []string) int {
	asJSON := false
	for _, arg := range args {
		switch arg {
		case "--json":
			asJSON = true
		case "--help", "-h":
			return help([]string{"doctor"})
		default:
			return usage(fmt.Errorf("doctor: no argument %s%s; 'supervise help doctor' tells more",
				arg, didYouMean(arg, []string{"--json", "--help"})))
		}
	}
	d, err := diagnose()
	if d != nil {
		err = errors.Join(d.print(asJSON), err)
	}
	switch {
	case err != nil:
		complain(fmt.Errorf("doctor: %w", err))
		return exitFailure
	case d.Containment != protocol.ContainmentCgroup:
		return exitUnavailable
	}
	return 0
}

// A diagnosis is the one of the protocol, being written.
type diagnosis struct{ protocol.Diagnosis }

// diagnose looks first, since to try moves us. A diagnosis with an error means
// that we have left something behind.
func diagnose() (*diagnosis, error) {
	caught, err := signals.Catch(fatalSignals) // before there is anything to leave behind
	if err != nil {
		return nil, err
	}
	view := cgroup.Inspect()
	d := &diagnosis{protocol.Diagnosis{
		Schema: protocol.DiagnosisSchema, Version: version(),
		Place: findPlace("/", os.Geteuid(), os.Getenv), Bus: askBus(caught.FD()),
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
		dieOf(sig.Signal)
	}
}

// try finds out what works. The error is one of giving back.
func (d *diagnosis) try(view *cgroup.View) error {
	h, err := tryContainment()
	if err != nil {
		d.Containment, d.Reason = protocol.ContainmentSubreaper, new(oneLine(err))
		d.setFeatures(view.Features(nil))
		return nil
	}
	d.Containment, d.Reason = protocol.ContainmentCgroup, notBlank(&h.reason)
	root, road := h.session.Root()
	d.Root, d.Road = &root, new(string(road))
	view.Lead(root) // it may be a scope of systemd's, or our parent
	d.setChain(view)
	d.setFeatures(view.Features(h.job))
	return h.Close()
}

// tryContainment does what "supervise run" does to hold a job in a cgroup, up to
// the birth of the first process. The caller closes the hold, which is nil where
// there is none to be had.
func tryContainment() (*hold, error) {
	o := &runOptions{name: "doctor", contain: containCgroup, systemdTimeout: defaultSystemdTimeout}
	h, err := chooseCgroup(o, cgroup.Managed())
	if err != nil {
		return nil, err
	}
	if err := h.tryStart(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// tryStart starts a program that does not exist: the error that says so comes from
// inside the job.
func (h *hold) tryStart() error {
	_, err := h.job.Start("", []string{""}, &syscall.ProcAttr{})
	if err == syscall.ENOENT {
		return nil
	}
	return fmt.Errorf("starting a process in the job: %w", err)
}

// limitControllers are those that limits need.
var limitControllers = []string{"cpu", "cpuset", "io", "memory", "pids"}

func (d *diagnosis) setView(v *cgroup.View) {
	if v.Err != nil {
		d.Reason = new(oneLine(v.Err))
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

// list is an empty list in JSON, not null.
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
		c.Error = new(oneLine(a.Err))
	}
	return c
}

func controller(v *cgroup.View, name string) protocol.Controller {
	at := v.Stops(name)
	c := protocol.Controller{Name: name, Available: len(v.Ancestors) > 0 && at == len(v.Ancestors)}
	if at >= 0 && at < len(v.Ancestors) {
		c.StopsAt = &v.Ancestors[at].Name
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
func (d *diagnosis) print(asJSON bool) error {
	text := []byte(d.text())
	if asJSON {
		b, err := json.Marshal(d)
		if err != nil {
			return err
		}
		text = append(b, '\n')
	}
	_, err := os.Stdout.Write(text)
	return err
}
