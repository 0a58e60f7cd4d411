package serve

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/options"
	"github.com/seed-c1490a04/supervise/protocol"
)

// plan checks everything that can be checked without starting anything: -32602, -32008,
// and for the command -32005 or -32006. Nothing is open yet, so an error leaves nothing
// to undo.
func (v *server) plan(p *protocol.SpawnParams) (*plan, error) {
	pl := &plan{SpawnParams: p, v: v, dir: string(p.Cwd), name: string(p.Name)}
	for _, check := range []func() error{pl.checkCommand, pl.checkTimes, pl.checkLimits, pl.checkNotify, pl.checkSupport} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// checkCommand reads the commands, and the name, which becomes a part of the cgroup's: hence
// no slash.
func (p *plan) checkCommand() error {
	if err := p.readCommands(); err != nil {
		return err
	}
	if p.name != "" && (len(p.name) > 255 || strings.ContainsAny(p.name, "/\n\x00")) {
		return failure(protocol.CodeInvalidParams, "name", "name: want at most 255 bytes without slash and newline")
	}
	for i, c := range p.commands {
		if i > 0 {
			p.argv = append(p.argv, "|")
		}
		p.argv = append(p.argv, c.argv...)
	}
	first := p.commands[0]
	p.name = cmp.Or(p.name, path.Base(first.argv[0]))
	p.spec.Path, p.spec.Argv = first.file, first.argv
	return nil
}

// checkTimes reads times, in seconds, and the signal that ends the job. No grace is
// defaultGrace, while a grace of 0 is none: hence the pointer.
func (p *plan) checkTimes() (err error) {
	s := &p.spec
	grace := defaultGrace
	if p.Grace != nil {
		if grace, err = durationOf("grace", *p.Grace); err != nil {
			return err
		}
	}
	s.Grace = grace
	if s.Timeout, err = durationOf("timeout", p.Timeout); err != nil {
		return err
	}
	if s.CPUTime, err = durationOf("cpu_timeout", p.CPUTimeout); err != nil {
		return err
	}
	if s.Every, err = durationOf("sample", p.Sample); err != nil {
		return err
	}
	// 0 is no samples.
	if s.Every > 0 && s.Every < minSample {
		return failure(protocol.CodeInvalidParams, "sample", "sample: want %v or more", minSample)
	}
	s.Signal, err = signalOf(p.Signal, unix.SIGTERM)
	return err
}

// checkLimits reads leftovers and limits. Whether a limit can be had is seen when it is
// written into the job's cgroup: -32007.
func (p *plan) checkLimits() (err error) {
	switch p.Leftovers {
	case "", protocol.LeftoversKill, protocol.LeftoversWait, protocol.LeftoversFail:
	default:
		return failure(protocol.CodeInvalidParams, "leftovers", "leftovers: want kill, wait or fail")
	}
	p.spec.Leftovers = p.Leftovers
	p.limits, err = limitsFrom(p.SpawnParams.Limits)
	return err
}

// limitsFrom reads limits by their names, in the order of the alphabet, so that the same
// request always fails for the same reason.
func limitsFrom(given map[string]protocol.LimitValue) (limits cgroup.Limits, err error) {
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l, err := options.ParseLimit(name, string(given[name]))
		if err != nil {
			return nil, failure(protocol.CodeInvalidParams, "limits."+name, "limits: %v", err)
		}
		limits = append(limits, l...)
	}
	return limits, nil
}

// checkNotify reads what the owner wants to hear of. An unknown word is an error, unlike
// an unknown field: the owner would wait for notifications that never come.
func (p *plan) checkNotify() error {
	for i, what := range p.Notify {
		switch what {
		case protocol.NotifyDescendants, protocol.NotifyOOM, protocol.NotifyLimit, protocol.NotifyReady:
		default:
			field := fmt.Sprintf("notify[%d]", i)
			return failure(protocol.CodeInvalidParams, field, "%s: want descendants, oom, limit or ready", field)
		}
	}
	for i, one := range p.Pressure {
		// Whether the kernel has PSI at all is seen when the trigger is armed.
		trigger, err := newPressureTrigger(one)
		if err != nil {
			field := fmt.Sprintf("pressure[%d]", i)
			return failure(protocol.CodeInvalidParams, field, "%s: %v", field, err)
		}
		p.pressing = append(p.pressing, trigger)
	}
	return nil
}

// defaultGrace is the time between the signal and the kill if the owner gives none.
const defaultGrace = 10 * time.Second

// checkSupport refuses, with -32008, what cannot be had without a cgroup. best_effort is
// for limits alone; samples are missed by no job, so they are not refused where the server
// has just found no cgroup.
func (p *plan) checkSupport() error {
	if p.v.place.InCgroup() {
		return nil
	}
	wanted := map[string]bool{
		"cpu_timeout": p.CPUTimeout > 0, "sample": p.Sample > 0 && p.v.o.Contain == containment.Subreaper, "pressure": len(p.Pressure) > 0,
		"limits": len(p.limits) > 0 && !p.BestEffort, "delegate": p.Delegate,
		"notify": slices.Contains(p.Notify, protocol.NotifyOOM) || slices.Contains(p.Notify, protocol.NotifyLimit),
	}
	for field, is := range wanted {
		if is {
			return failure(protocol.CodeUnsupported, field, "%s needs a cgroup: %s", field, p.v.place.WhyNot())
		}
	}
	return nil
}
