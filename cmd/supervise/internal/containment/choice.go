package containment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
	"github.com/seed-c1490a04/supervise/protocol"
)

// askedFor is why there is no cgroup where the user wanted none.
const askedFor = "--contain=" + string(Subreaper)

// Choose takes the place that the options ask for:
//
//	Cgroup named ──> it, or an error
//	Slice named, or Leave ──> new scope from systemd, or an error
//	what cgroup.Judge finds ──> the own cgroup, or a place beside
//	    │                            │ refused
//	    v                            v
//	new scope from systemd       the fallback, with a warning where systemd runs
//	    │ refused                    ^
//	    v                            │ refused
//	own cgroup, with a warning ──────┘
//
// A limit that cannot be had is an error, and so is every refusal with Mode Cgroup.
func Choose(o *Options) (*Place, error) { return o.station(choosePlace(o)) }

// station makes a sentinel that was posted on the way part of the place; there is no use for
// it without one.
func (o *Options) station(p *Place, err error) (*Place, error) {
	switch {
	case o.sentinel == nil:
	case err != nil:
		o.sentinel.Dismiss()
	default:
		p.station(o.sentinel)
	}
	return p, err
}

func choosePlace(o *Options) (*Place, error) {
	managed := o.Cgroup == "" && cgroup.Managed()
	switch {
	case o.Mode == Subreaper: // a slice was given to the supervise above
		return Fallback(o.Reason).without(o, errors.New(cmp.Or(o.Reason, askedFor)))
	case o.Slice != "" && o.Mode != Cgroup && !managed:
		return withoutSlice(o)
	}
	p, err := chooseCgroup(o, managed)
	switch {
	case err == nil:
		return p, nil
	case o.Mode == Cgroup && !isLimit(err):
		return nil, fmt.Errorf("cgroup containment is not to be had here: %w; --contain=auto would fall back", err)
	case o.Cgroup != "":
		return nil, fmt.Errorf("--cgroup %s: %w", o.Cgroup, err)
	case isLimit(err) || o.Leave:
		return nil, err
	case o.Meter:
		return nil, fmt.Errorf("--cpu-timeout needs a cgroup: %w", err)
	case managed && !errors.Is(err, cgroup.ErrByPID): // there it is as it should be
		o.warn(fmt.Errorf("%w; the job is held without a cgroup", err))
	}
	return Fallback(cli.OneLine(err)).without(o, err)
}

// withoutSlice takes a place as if no slice were named, where systemd has none to give.
func withoutSlice(o *Options) (*Place, error) {
	rest := *o
	rest.Slice = ""
	p, err := choosePlace(&rest)
	o.sentinel = rest.sentinel
	if err == nil {
		p.Forgo(errNoSystemd, o.Warn, "slice")
	}
	return p, err
}

// isLimit says whether a limit is what cannot be had.
func isLimit(err error) bool {
	var failed cgroup.LimitErrors
	return errors.As(err, &failed)
}

var errNoSystemd = errors.New("systemd does not run here")

// chooseCgroup takes the first cgroup that is to be had; managed says that systemd
// manages cgroups here.
func chooseCgroup(o *Options, managed bool) (p *Place, err error) {
	switch {
	case o.Cgroup != "":
		p, err = takeNamed(o)
	case o.leaves() && !managed:
		return nil, fmt.Errorf("%s: %w", o.wayOut(), errNoSystemd)
	case o.leaves():
		p, err = leave(o)
	default:
		p, err = takeJudged(o)
	}
	if err != nil {
		return nil, err
	}
	err = errors.Join(p.claim(), p.prepare(o))
	if _, origin := p.session.Root(); isLimit(err) && managed && origin == cgroup.Shared {
		err = fmt.Errorf("%w; %s: --scope=new leaves it all the same", err, p.reason)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// takeNamed opens the place that the user has named. What that leaves behind is said.
func takeNamed(o *Options) (*Place, error) {
	p, err := open(cgroup.Search{Path: o.Cgroup}.Open, o.JobName)
	if err == nil {
		if left := p.session.LeftBehind(); len(left) > 0 {
			p.tellLeft("--cgroup", left)
		}
	}
	return p, err
}

// leave opens a place in a new scope, because the user said so.
func leave(o *Options) (*Place, error) {
	manager := transient.Dial()
	defer manager.Close()
	own, slice := cgroup.Own(), o.Slice
	if slice == "" {
		slice = cgroup.OwnSlice()
	}
	p, err := takeScope(o, manager, slice, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: no scope from systemd: %w", o.wayOut(), err)
	}
	left, _ := cgroup.LeftBehind(own, cgroup.Own())
	p.tellLeft(o.wayOut(), left)
	return p, nil
}

// tellLeft notes for the record what a flag has the job leave behind.
func (p *Place) tellLeft(flag string, left []string) {
	reason := flag + " was given"
	if len(left) > 0 {
		reason += "; what does not hold for the job: " + strings.Join(left, ", ")
	}
	p.reason = reason
}

// takeJudged opens the place that cgroup.Judge finds.
func takeJudged(o *Options) (*Place, error) {
	var manager *transient.Manager // nil: it was not likely to be needed
	j, err := cgroup.Judge(nil, func() { manager = transient.Dial() })
	if manager != nil {
		defer manager.Close()
	}
	if err != nil {
		return nil, err
	}
	defer j.Close()
	reason, refused := j.Reason, error(nil)
	switch j.Verdict {
	case cgroup.NewScope:
		p, err := takeScope(o, manager, j.Slice, j)
		if err == nil {
			p.reason = reason
			return p, nil
		}
		refused = fmt.Errorf("no scope from systemd: %w", err)
		reason = cli.OneLine(refused)
	case cgroup.AskManager:
		p, err := takeUnit(o)
		if err == nil {
			p.reason = "systemd says that the unit is delegated, and it holds nothing else"
			return p, nil
		}
	}
	p, err := open(j.Open, o.JobName)
	switch {
	case err != nil && refused != nil:
		return nil, refused // the own cgroup is the manager's: that it is closed to us is no news
	case err != nil && errors.Is(err, fs.ErrPermission) && reason != "":
		return nil, fmt.Errorf("%s: %w", reason, err)
	case err != nil:
		return nil, err
	case refused != nil:
		o.warn(fmt.Errorf("%w; the job is held in a cgroup that is shared", refused))
	}
	p.reason = reason
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

// without is what becomes in the fallback of what needs a cgroup: limits are refused, or not
// enforced.
func (p *Place) without(o *Options, why error) (*Place, error) {
	if o.Slice != "" {
		p.Forgo(why, nil, "slice") // of which the caller has been told
	}
	if len(o.Limits) > 0 && !o.BestEffort {
		return nil, fmt.Errorf("%s needs a cgroup: %w", o.Limits[0], why)
	}
	for _, l := range o.Limits {
		p.unenforced = append(p.unenforced, unenforced(l, fmt.Errorf("%s needs a cgroup: %w", l, why), o.Warn))
	}
	return p, nil
}

// Forgo has the record list flags as not to be had in this place, and warns, unless that is
// nil, once.
func (p *Place) Forgo(why error, warn func(error), flags ...string) {
	for _, name := range flags {
		p.unenforced = append(p.unenforced, protocol.Unenforced{Name: name, Reason: cli.OneLine(why)})
	}
	if warn != nil && len(flags) > 0 {
		warn(fmt.Errorf("not to be had: --%s: %w", strings.Join(flags, ", --"), why))
	}
}

// takeScope opens a place in a new scope of systemd's. A sentinel stays behind, by which
// what ends the cgroup that is left ends the job as well.
func takeScope(o *Options, manager *transient.Manager, slice string, j *cgroup.Judgment) (*Place, error) {
	sentinel, err := postSentinel()
	if err != nil {
		return nil, err
	}
	o.sentinel = sentinel // also if no word comes: the manager may move us yet
	sc, helper, err := joinScope(o, manager, slice)
	p := (*Place)(nil)
	if err == nil {
		search := sc.Search()
		search.After = j
		p, err = open(search.Open, o.JobName)
	}
	if err != nil {
		program.Reap(helper)
		return nil, err
	}
	p.helper = helper
	return p, nil
}

// takeUnit opens a place in the own unit, if systemd says that it is delegated.
func takeUnit(o *Options) (*Place, error) {
	a, err := AskUnit(o.Patience, os.Getpid())
	if err != nil {
		return nil, err
	}
	a.Wait(o.Patience + Overtime)
	sc, err := ReadScope(a)
	p := (*Place)(nil)
	if err == nil {
		p, err = open(sc.Search().Open, o.JobName)
	}
	if err != nil {
		program.Reap(a.PID())
		return nil, err
	}
	p.helper = a.PID()
	return p, nil
}
