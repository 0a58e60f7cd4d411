package containment

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
)

// askedFor is why there is no cgroup where the user wanted none.
const askedFor = "--contain=" + string(Subreaper)

// Choose takes the place that the options ask for:
//
//	Cgroup named ──> it, or an error
//	own cgroup ──> it, if it is known to be ours alone, or no systemd runs here
//	    │ else
//	    v
//	new scope from systemd ──> it
//	    │ refused
//	    v
//	own cgroup, shared, without controllers ──> it, with a warning
//	    │ refused
//	    v
//	the fallback, with a warning where systemd runs
//
// A limit that cannot be had is an error, and so is every refusal with Mode Cgroup.
func Choose(o *Options) (*Place, error) {
	if o.Mode == Subreaper {
		return Fallback(o.Reason).unlimited(o, errors.New(askedFor))
	}
	managed := o.Cgroup == "" && cgroup.Managed()
	p, err := chooseCgroup(o, managed)
	switch {
	case err == nil:
		return p, nil
	case o.Mode == Cgroup && !isLimit(err):
		return nil, fmt.Errorf("cgroup containment is not to be had here: %w; --contain=auto would fall back", err)
	case o.Cgroup != "":
		return nil, fmt.Errorf("--cgroup %s: %w", o.Cgroup, err)
	case isLimit(err) || o.Slice != "" && !managed:
		return nil, err
	case o.Meter:
		return nil, fmt.Errorf("--cpu-timeout needs a cgroup: %w", err)
	case managed:
		o.warn(fmt.Errorf("%w; the job is held without a cgroup", err))
	}
	return Fallback(cli.OneLine(err)).unlimited(o, err)
}

// isLimit says whether a limit is what cannot be had.
func isLimit(err error) bool {
	var failed cgroup.LimitErrors
	return errors.As(err, &failed)
}

// chooseCgroup takes the first cgroup that is to be had; managed says that systemd
// manages cgroups here.
func chooseCgroup(o *Options, managed bool) (*Place, error) {
	if o.Slice != "" && !managed {
		return nil, errors.New("--slice: systemd does not run here")
	}
	p, err := (*Place)(nil), error(nil)
	if o.Slice == "" {
		p, err = open(cgroup.Search{Path: o.Cgroup, Exclusive: managed}, o.JobName)
	}
	if p == nil && managed && !errors.Is(err, cgroup.ErrNoMount) && !errors.Is(err, unix.EROFS) {
		occupied := errors.Is(err, cgroup.ErrOccupied)
		p, err = takeScope(o)
		if err == nil && p.reason != "" && !occupied { // a delegated one lacks nothing but controllers
			o.warn(fmt.Errorf("%s; the job is held in a cgroup that is shared", p.reason))
		}
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.claim(), p.prepare(o)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// prepare has all done for the one job that needs its cgroup and no process in it.
func (p *Place) prepare(o *Options) error {
	if p.job == nil {
		return nil
	}
	err := p.job.SetLimits(o.Limits, o.BestEffort, o.Warn)
	if err == nil && o.Numbers {
		err = p.job.Count()
	}
	return err
}

// unlimited is what becomes of limits in the fallback: they are refused, or not enforced.
func (p *Place) unlimited(o *Options, why error) (*Place, error) {
	if len(o.Limits) > 0 && !o.BestEffort {
		return nil, fmt.Errorf("%s needs a cgroup: %w", o.Limits[0], why)
	}
	for _, l := range o.Limits {
		p.unenforced = append(p.unenforced, unenforced(l, fmt.Errorf("%s needs a cgroup: %w", l, why), o.Warn))
	}
	return p, nil
}

// takeScope opens a place in a scope of systemd's or, if there is none to be had, in the
// own cgroup though it is shared.
func takeScope(o *Options) (*Place, error) {
	sc, helper, refused := joinScope(o)
	if refused == nil {
		p, err := open(sc.Search(), o.JobName)
		if err == nil {
			p.helper = helper
			return p, nil
		}
		refused = err
	}
	program.Reap(helper)
	refused = fmt.Errorf("no scope from systemd: %w", refused)
	p, err := open(cgroup.Search{}, o.JobName)
	if err != nil {
		return nil, errors.Join(refused, err)
	}
	p.setReason(cli.OneLine(refused))
	return p, nil
}
