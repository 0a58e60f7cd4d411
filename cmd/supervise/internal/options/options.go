// Package options has the flags that "run" and "serve" share: where jobs are held, and
// the trace.
package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Place is the part of the command line about the place of jobs. Default has its values
// without a flag; the zero value is not one, as descriptor 0 would be the trace.
type Place struct {
	Contain  containment.Mode
	Cgroup   string        // directory to use as root; "": found out
	Slice    string        // for a new scope; "": none is named
	NewScope bool          // leave the own cgroup for a new scope, whatever limits it
	Patience time.Duration // for all that the service manager is asked
	NoGuard  bool          // no guardian: a SIGKILL to supervise leaves the job alive
	TraceFD  int           // descriptor of the trace; -1: none
}

// Default is Place without a flag.
func Default() Place {
	return Place{Contain: containment.Auto, Patience: containment.DefaultPatience, TraceFD: -1}
}

// Flags are the flags of a Place that is part of other options, in the order of the help.
// Both front ends have one table for all of their flags, hence the function that finds
// the Place.
func Flags[O any](of func(*O) *Place) []cli.Flag[O] {
	flag := func(name, value string, set func(p *Place, value string) error) cli.Flag[O] {
		return cli.Flag[O]{Name: name, Value: value, Set: func(o *O, value string) error { return set(of(o), value) }}
	}
	noGuard := flag("no-guard", "", func(p *Place, _ string) error { p.NoGuard = true; return nil })
	noGuard.Switch = true
	return []cli.Flag[O]{
		flag("contain", "auto|cgroup|subreaper", setContain),
		flag("cgroup", "DIRECTORY", func(p *Place, v string) error { p.Cgroup = v; return cli.NotEmpty(v) }),
		flag("slice", "", setSlice),
		flag("scope", "new", setScope),
		flag("systemd-timeout", "", setPatience),
		flag("trace", "", func(p *Place, v string) (err error) { p.TraceFD, err = cli.Descriptor(v); return err }),
		noGuard,
	}
}

// setContain takes the way to hold jobs; an unknown word must not become auto silently.
func setContain(p *Place, v string) error {
	switch mode := containment.Mode(v); mode {
	case containment.Auto, containment.Cgroup, containment.Subreaper:
		p.Contain = mode
		return nil
	}
	return errors.New("want auto, cgroup or subreaper")
}

// setSlice takes a name as systemd does (systemd.slice(5)): with the suffix or without.
func setSlice(p *Place, v string) error {
	p.Slice = v
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\-"
	name := strings.TrimSuffix(v, ".slice")
	dashed := strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") || strings.Contains(name, "--")
	switch {
	case name == "-": // the root slice
	case name == "" || strings.Trim(name, letters) != "" || dashed || len(name) > 255-len(".slice"):
		return errors.New("want the name of a slice such as user-batch.slice: letters, digits and :_.\\, and single dashes between them")
	}
	return nil
}

// setScope takes the one word that there is, so that others may follow.
func setScope(p *Place, v string) error {
	if v != "new" {
		return errors.New("want new")
	}
	p.NewScope = true
	return nil
}

// setPatience bounds the wait for the service manager: with none supervise would never
// ask, and more than an hour is a mistake in the unit.
func setPatience(p *Place, v string) (err error) {
	p.Patience, err = cli.Duration(v)
	if err == nil && (p.Patience == 0 || p.Patience > time.Hour) {
		err = errors.New("want more than 0 and at most 1h")
	}
	return err
}

// Check finds flags that exclude each other. Of two that contradict none is ignored: the
// job would be held elsewhere than one of them says.
func (p *Place) Check() error {
	if p.Cgroup != "" && p.Contain == containment.Subreaper {
		return errors.New("--cgroup and --contain=subreaper exclude each other")
	}
	if p.Slice != "" && (p.Cgroup != "" || p.Contain == containment.Subreaper) {
		return errors.New("--slice is for a scope made by systemd; it excludes --cgroup and --contain=subreaper")
	}
	if p.NewScope && (p.Cgroup != "" || p.Contain == containment.Subreaper) {
		return errors.New("--scope=new is for a scope made by systemd; it excludes --cgroup and --contain=subreaper")
	}
	return nil
}

// Containment is the request that the flags make of a place; warn gets warnings, each a
// line for people.
func (p *Place) Containment(warn func(error)) containment.Options {
	return containment.Options{Mode: p.Contain, Cgroup: p.Cgroup, Slice: p.Slice, Leave: p.NewScope, Patience: p.Patience, Warn: warn}
}

// Trace returns a function that writes each thing that the loop sees and does, a JSON
// line each; nil: nothing is traced. A line for which there is no room is lost, as the
// loop waits for no reader; the next line says how many were. The descriptor stays the
// caller's.
func (p *Place) Trace() func(supervisor.TraceEvent) {
	if p.TraceFD < 0 {
		return nil
	}
	fd, lost := p.TraceFD, 0
	return func(e supervisor.TraceEvent) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(fds, 0); n != 1 || fds[0].Revents&unix.POLLOUT == 0 {
			lost++
			return
		}
		if line := traceLine(e, lost); record.WriteAll(fd, line) == nil {
			lost = 0
		}
	}
}

// roomAssured is what a pipe takes at once where poll(2) says that it takes anything: a page
// (PIPE_BUF). A longer line might block.
const roomAssured = 4096

// traceLine is one line, of which an error that is too long is cut off.
func traceLine(e supervisor.TraceEvent, lost int) []byte {
	for {
		line, err := json.Marshal(struct {
			Time protocol.Time `json:"time"`
			supervisor.TraceEvent
			Lost int `json:"lost,omitempty"`
		}{protocol.Time{Time: time.Now()}, e, lost})
		if err != nil || len(line) < roomAssured || e.Error == "" {
			return append(line, '\n')
		}
		e.Error = e.Error[:len(e.Error)/2]
	}
}

// LimitValue is what the flag of a limit takes, as cli.Flag has it.
func LimitValue(name string) string {
	if name == "oom-group" {
		return "yes|no"
	}
	return ""
}

// ParseLimit is cgroup.ParseLimit, and suggests a name that is known, of a flag or one of
// systemd's properties.
func ParseLimit(name, value string) (cgroup.Limits, error) {
	l, err := cgroup.ParseLimit(name, value)
	var unknown *cgroup.UnknownLimitError
	if errors.As(err, &unknown) {
		flags, properties := cgroup.LimitNames()
		err = fmt.Errorf("%w%s", err, cli.DidYouMean(name, append(flags, properties...)))
	}
	return l, err
}
