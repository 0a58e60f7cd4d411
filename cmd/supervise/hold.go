package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A hold is how the job of this process is held: a session with one job and the
// guardian over it, or only the tree of our descendants. It owns all of it, and
// is the containment that the supervisor knows.
type hold struct {
	supervisor.Containment // the job, or the tree
	tree                   subreaper.Tree
	session                *cgroup.Session // nil: fallback
	job                    *cgroup.Job
	guardian               *guardian.Guardian // nil: none
	watcher                *cgroup.Watcher    // nil until needed
	limits                 cgroup.Limits      // that are enforced
	unenforced             []protocol.Unenforced
	counting               bool             // somebody wants to know what the job used
	samples                *samples         // nil: none
	oomWatch               *cgroup.OOMWatch // nil: nothing to see
	oom                    cgroup.OOM       // after Close, like stats
	stats                  *cgroup.Stats    // nil: no cgroup
	helper                 int              // supervise-scope, on its way out; 0: none
	reason                 string           // why it is the fallback, or a lesser cgroup
}

// takeHold makes a cgroup session with a job in it. On an error nothing is left.
func takeHold(where cgroup.Search, name string) (h *hold, err error) {
	h = &hold{}
	if h.session, err = cgroup.Open(where); err != nil {
		return nil, err
	}
	if h.job, err = h.session.NewJob(name); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.Containment = h.job
	return h, nil
}

// adopt moves all there is below us into the job.
func (h *hold) adopt() error {
	if err := h.guard(); err != nil {
		return err
	}
	if err := h.job.Adopt(h.tree.Each); err != nil {
		return err
	}
	h.session.RemoveStale()
	return h.claim()
}

// dismiss ends the guardian, if there is one.
func (h *hold) dismiss() {
	if h.guardian != nil {
		h.guardian.Dismiss()
		h.guardian.Wait()
		h.guardian, h.tree.Spare = nil, nil
	}
}

// account reads the counters, which go with the directory. What cannot be read is
// not known.
func (h *hold) account() {
	if h.counting {
		h.stats, _ = h.job.Stats()
	}
	if h.samples != nil {
		h.samples.close()
	}
	if h.oomWatch != nil {
		h.oom, _ = h.oomWatch.Cause()
	}
}

// reap waits for a child that has nothing to say any more.
func reap(pid int) {
	for pid > 0 {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// claim has the job get what controllers there are.
func (h *hold) claim() error { return h.session.Claim(h.job) }

// fallback holds by descent alone.
func fallback(reason string) *hold {
	h := &hold{reason: reason}
	h.Containment = &h.tree
	return h
}

// guard starts the guardian of a session, as late as can be: what is written
// between the fork and the end is paid for a second time.
func (h *hold) guard() error {
	if h.session == nil {
		return nil
	}
	kill, err := h.session.KillFD()
	if errors.Is(err, unix.ENOENT) { // before Linux 5.14 it has no better way than the cleaner's
		kill, err = -1, nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(kill)
	session, root := h.session.FD(), h.session.RootFD()
	return h.startGuardian(guardian.Plan{
		Kill: kill, Keep: [2]int{session, root}, Args: [2]string{strconv.Itoa(session), strconv.Itoa(root)},
	})
}

// guardMarked starts the guardian of the fallback, for children that exist
// already: it knows them by a mark.
func (h *hold) guardMarked() error {
	mark, err := subreaper.NewMark()
	if err != nil {
		return err
	}
	if err := h.tree.SetMark(mark); err != nil {
		return err
	}
	return h.startGuardian(guardian.Plan{Kill: -1, Keep: [2]int{-1, -1}, Args: [2]string{markArg, mark.String()}})
}

func (h *hold) startGuardian(p guardian.Plan) (err error) {
	if h.guardian, err = guardian.Start(p); err == nil {
		h.tree.Spare = []int{h.guardian.PID()}
	}
	return err
}

// markArg is the guardian's first argument where the second is a mark.
const markArg = "mark"

// clean is the second life of a guardian: it ends what a supervisor that was
// killed has left. Nobody listens to it.
func clean(args []string) error {
	if args[0] == markArg {
		mark, err := subreaper.ParseMark(args[1])
		if err != nil {
			return err
		}
		return mark.Kill()
	}
	session, err1 := strconv.Atoi(args[0])
	root, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s, err := cgroup.Inherit(session, root)
	if err != nil {
		return err
	}
	return s.Destroy()
}

// watch is the supervisor's Watch.
func (h *hold) watch(supervisor.Containment) (supervisor.Watcher, error) {
	if h.job == nil {
		return nil, nil
	}
	if h.watcher == nil {
		w, err := cgroup.NewWatcher()
		if err != nil {
			return nil, err
		}
		h.watcher = w
	}
	_, err := h.watcher.Watch(h.job)
	return h.watcher, err
}

// path is the job's cgroup, "" in the fallback.
func (h *hold) path() string {
	if h.job == nil {
		return ""
	}
	return h.job.Path()
}

// Start implements supervisor.Containment.
func (h *hold) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, err = h.Containment.Start(path, argv, attr)
	if err == nil && attr.Sys.Setpgid {
		h.tree.Group = pid
	}
	return pid, err
}

// Hold implements supervisor.Holder: in the fallback Kill would begin with it
// anyway; to freeze a cgroup costs more than to kill it.
func (h *hold) Hold() (held bool, err error) {
	if h.job != nil {
		return false, nil
	}
	err = h.tree.Hold()
	return err == nil, err
}

// Procs implements supervisor.Lister.
func (h *hold) Procs() ([]int, error) { return h.Containment.(supervisor.Lister).Procs() }

// CPU implements supervisor.Accountant.
func (h *hold) CPU() (user, system uint64, err error) {
	if h.job == nil {
		return 0, 0, errors.ErrUnsupported
	}
	return h.job.CPU()
}

// Close gives everything back; the job has ended. A second time it does nothing.
func (h *hold) Close() error {
	if h.guardian != nil {
		h.guardian.Dismiss() // it exits while we remove the directories
	}
	if h.watcher != nil {
		h.watcher.Close()
	}
	reap(h.helper) // unless the supervisor did
	h.helper = 0
	err := error(nil)
	if h.job != nil && h.session != nil {
		h.account()
		err = h.job.Close()
	}
	if h.guardian != nil {
		h.guardian.Wait() // it is where we are, and that may have to go
		h.guardian = nil
	}
	if h.session != nil {
		err = errors.Join(err, h.session.Close())
		h.session = nil
	}
	return err
}

// choose takes the containment that the options ask for. Where systemd manages
// cgroups, a new scope goes before a place that is not known to be ours. That a
// lesser one was taken is said once.
func choose(o *runOptions) (*hold, error) {
	if o.contain == containSubreaper {
		return fallback(o.reason).unlimited(o, errors.New("--contain=subreaper"))
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
	case isLimit(err):
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
	h.limits = o.limits.Complete()
	err := h.job.Limit(h.limits)
	var failed cgroup.LimitErrors
	if errors.As(err, &failed) && o.bestEffort {
		for _, e := range failed {
			h.unenforce(e.Limit, e, true)
		}
		err = nil
	}
	if err == nil && o.wantsNumbers() {
		h.counting = true
		h.oomWatch, err = h.job.WatchOOM()
	}
	if err == nil {
		err = h.startSamples(o)
	}
	return err
}

func (h *hold) unenforce(l cgroup.Limit, why error, say bool) {
	if say {
		complain(fmt.Errorf("not enforced: %w", why))
	}
	h.unenforced = append(h.unenforced, protocol.Unenforced{Name: l.Name, Reason: oneLine(why)})
	h.limits = slices.DeleteFunc(h.limits, func(one cgroup.Limit) bool { return one == l })
}

// unlimited is what becomes of limits in the fallback: refused, or not enforced.
func (h *hold) unlimited(o *runOptions, why error) (*hold, error) {
	if len(o.limits) > 0 && !o.bestEffort {
		return nil, fmt.Errorf("%s needs a cgroup: %w", o.limits[0].Name, why)
	}
	for _, l := range o.limits {
		h.unenforce(l, fmt.Errorf("%s needs a cgroup: %w", l.Name, why), !o.guarded) // the other has said it
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

// giveUp turns to the fallback.
func (h *hold) giveUp(reason error) error {
	err := h.Close()
	h.job, h.reason = nil, reason.Error()
	h.Containment, h.tree.Spare = &h.tree, nil
	return err
}
