package main

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// askedFor is why there is no cgroup, where nobody wanted one.
const askedFor = "--contain=" + containSubreaper

// choose takes the containment that the options ask for. Where systemd manages
// cgroups, a new scope goes before a place that is not known to be ours. That a
// lesser one was taken is said once.
func choose(o *runOptions) (*hold, error) {
	if o.contain == containSubreaper {
		return fallback(o.reason).unlimited(o, errors.New(askedFor))
	}
	managed := o.cgroup == "" && cgroup.Managed()
	h, err := chooseCgroup(o, managed)
	switch {
	case err == nil:
		return h, nil
	case o.contain == containCgroup && !isLimit(err):
		return nil, fmt.Errorf("cgroup containment is not to be had here: %w; --contain=auto would fall back", err)
	case o.cgroup != "":
		return nil, fmt.Errorf("--cgroup %s: %w", o.cgroup, err)
	case isLimit(err) || o.slice != "" && !managed:
		return nil, err
	case o.cpuTime > 0:
		return nil, fmt.Errorf("--cpu-timeout needs a cgroup: %w", err)
	case managed:
		complain(fmt.Errorf("%w; the job is held without a cgroup", err))
	}
	return fallback(oneLine(err)).unlimited(o, err)
}

// isLimit says whether a limit is what cannot be had.
func isLimit(err error) bool {
	var failed cgroup.LimitErrors
	return errors.As(err, &failed)
}

func chooseCgroup(o *runOptions, managed bool) (*hold, error) {
	if o.slice != "" && !managed {
		return nil, errors.New("--slice: systemd does not run here")
	}
	h, err := (*hold)(nil), error(nil)
	if o.slice == "" {
		h, err = takeHold(cgroup.Search{Path: o.cgroup, Exclusive: managed}, jobName(o))
	}
	if h == nil && managed && !errors.Is(err, cgroup.ErrNoMount) && !errors.Is(err, unix.EROFS) {
		occupied := errors.Is(err, cgroup.ErrOccupied)
		h, err = takeScope(o)
		if err == nil && h.reason != "" && !occupied { // a delegated one lacks nothing but controllers
			complain(fmt.Errorf("%s; the job is held in a cgroup that is shared", h.reason))
		}
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(h.claim(), h.limit(o)); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// limit sets what the options limit. A limit that cannot be had is an error, or with
// --best-effort remembered.
func (h *hold) limit(o *runOptions) error {
	if h.job == nil {
		return nil // serve: each job has its own
	}
	err := h.setLimits(o.limits.Complete(), o.bestEffort, true)
	if err == nil && o.wantsNumbers() {
		h.counting = true
		h.oomWatch, err = h.job.WatchOOM()
	}
	if err == nil {
		err = h.startSamples(o)
	}
	return err
}

// setLimits sets limits, and notes which are enforced.
func (h *hold) setLimits(limits cgroup.Limits, bestEffort, say bool) error {
	h.limits = limits
	err := h.job.Limit(limits)
	var failed cgroup.LimitErrors
	if !errors.As(err, &failed) || !bestEffort {
		return err
	}
	for _, e := range failed {
		h.unenforce(e.Limit, e, say)
	}
	return nil
}

func (h *hold) unenforce(l cgroup.Limit, why error, say bool) {
	if say {
		complain(fmt.Errorf("not enforced: %w", why))
	}
	h.unenforced = append(h.unenforced, protocol.Unenforced{Name: l.Name(), Reason: oneLine(why)})
	h.limits = slices.DeleteFunc(h.limits, func(one cgroup.Limit) bool { return one == l })
}

// unlimited is what becomes of limits in the fallback: refused, or not enforced.
func (h *hold) unlimited(o *runOptions, why error) (*hold, error) {
	if len(o.limits) > 0 && !o.bestEffort {
		return nil, fmt.Errorf("%s needs a cgroup: %w", o.limits[0], why)
	}
	for _, l := range o.limits {
		h.unenforce(l, fmt.Errorf("%s needs a cgroup: %w", l, why), !o.guarded) // the other has said it
	}
	return h, nil
}

// takeScope makes a session in a scope of systemd's, or, if there is none to be
// had, in our own cgroup though it is shared.
func takeScope(o *runOptions) (*hold, error) {
	sc, helper, refused := askScope(o)
	if refused == nil {
		h, err := takeHold(cgroup.Search{Path: sc.Cgroup, Delegated: true, Ends: sc.isNew()}, jobName(o))
		if err == nil {
			h.helper = helper
			return h, nil
		}
		refused = err
	}
	reap(helper)
	refused = fmt.Errorf("no scope from systemd: %w", refused)
	h, err := takeHold(cgroup.Search{}, jobName(o))
	if err != nil {
		return nil, errors.Join(refused, err)
	}
	h.reason = oneLine(refused)
	return h, nil
}
