package containment

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/program"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A Place is where this process holds jobs: a session of cgroups and the guardian over
// it, or only the tree of its descendants. It owns all of that, and is the containment of
// its one job, if it was made with one.
type Place struct {
	supervisor.Containment                // the one job, or the tree
	Tree                   subreaper.Tree // all descendants

	session    *cgroup.Session // nil: the fallback, or closed
	job        *Job            // the one job; nil: there is none
	guardian   *guardian.Guardian
	fostered   *supervisor.Supervisor // the loop of the one job, which is to have a foster if it gets no cgroup; nil: it has none
	foster     *guardian.Foster       // nil: it has none yet
	sentinel   *guardian.Sentinel     // in the cgroup that we have left; nil: none was left
	mark       subreaper.Mark         // of the processes that the guardian of the fallback knows; 0: none
	marks      *subreaper.Marks       // of the jobs in cgroups; nil: none
	orphans    *subreaper.Orphans     // among which strays are sought; nil: they are not
	ending     bool                   // all jobs are killed
	beacon     int                    // see Announce; 0: none
	closed     bool                   // everything is given back; the loop may still go round, for an owner that does not read
	watcher    *cgroup.Watcher        // nil until needed
	helper     int                    // supervise-scope, on its way out; 0: none
	foreign    []int                  // children that are no job's: see Disown
	reason     string                 // why it is this place; "": it is the one that was named, or the only one
	unenforced []protocol.Unenforced
	oomWatch   *cgroup.OOMWatch      // of the one job of a fallback; nil: see CountAround
	captured   *cgroup.Job           // of processes that may not be signalled; nil: there was none
	removals   []*cgroup.Removal     // that are under way; see removing
	later      func(*cgroup.Removal) // takes what the end of a job cannot remove at once; nil: that waits for it
}

// What the loop asks of a containment beyond the least, the place and its jobs both have.
type full interface {
	supervisor.Containment
	supervisor.Lister
	supervisor.Accountant
	supervisor.Sampler
	supervisor.Recorder
	supervisor.Waiter
	supervisor.Capturer
	io.Closer
}

var (
	_ full              = (*Place)(nil)
	_ full              = (*Job)(nil)
	_ supervisor.Holder = (*Place)(nil)
)

// open makes a session where it may and, if named, a job in it. On an error nothing is
// left.
func open(where func() (*cgroup.Session, error), jobName string) (p *Place, err error) {
	p = &Place{}
	if p.session, err = where(); err != nil {
		return nil, err
	}
	if jobName == "" {
		return p, nil
	}
	if p.job, err = p.NewJob(jobName, 1); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.Containment = p.job
	return p, nil
}

// Fallback holds by descent alone.
func Fallback(reason string) *Place {
	p := &Place{reason: reason}
	p.Containment = &p.Tree
	return p
}

// Try takes a cgroup as Choose does, up to the birth of a first process: it starts a
// program that does not exist, and the error that says so comes from inside the job.
func Try(o *Options) (*Place, error) {
	p, err := o.station(chooseCgroup(o, o.Cgroup == "" && cgroup.Managed()))
	if err != nil {
		return nil, err
	}
	if _, err := p.job.Start("", []string{""}, &syscall.ProcAttr{}); err != syscall.ENOENT {
		return nil, errors.Join(fmt.Errorf("starting a process in the job: %w", err), p.Close())
	}
	return p, nil
}

// InCgroup says whether jobs get cgroups here.
func (p *Place) InCgroup() bool { return p.session != nil }

// Job returns the one job's cgroup; nil: it has none, or there are many jobs.
func (p *Place) Job() *Job { return p.job }

// Session returns the session of cgroups; nil: the fallback.
func (p *Place) Session() *cgroup.Session { return p.session }

// Reason says why it is this place, in one printable sentence; "": there is nothing to be
// said.
func (p *Place) Reason() string { return cli.Printable(p.reason) }

// WhyNot says why there is no cgroup.
func (p *Place) WhyNot() string { return cmp.Or(p.reason, askedFor) }

// Connect has a loop work with the place: it watches cgroups, sweeps up what has left
// them, and waits for supervise-scope.
func (p *Place) Connect(s *supervisor.Supervisor) {
	s.Watch, s.Sweep, p.Tree.Reap = p.watch, p.Tree.Kill, s.CollectDead
	s.Spare = func(pid int, is bool) {
		if p.spareNoMore(pid); is {
			p.Tree.Spare = append(p.Tree.Spare, pid)
		}
	}
	if p.session != nil {
		p.Tree.Capture = p.Capture
	}
	if p.session != nil && p.job == nil {
		s.KillAll = func() error {
			p.ending = true
			return p.session.Kill()
		}
		p.later = p.removing(s)
	}
	s.Stopped = func() {
		if p.session != nil {
			p.session.LeaveToManager()
		}
	}
	if p.sentinel != nil {
		s.Inputs = append(s.Inputs, p.sentinelInput(s))
	}
	if p.helper > 0 {
		s.Chore(p.helper, func(bool) { p.helper = 0 })
	}
	for _, pid := range p.foreign {
		s.Chore(pid, func(bool) { p.forget(pid) })
	}
	if len(p.foreign) > 0 {
		s.NoChildren = p.noChildren
	}
}

// Disown says of children that they are no job's: they are neither killed nor counted nor
// waited for. Call it before Connect.
func (p *Place) Disown(children []int) {
	p.foreign = children
	p.Tree.Spare = append(p.Tree.Spare, children...)
}

// forget forgets a disowned child that was reaped: its pid may be another's from now on.
func (p *Place) forget(pid int) {
	is := func(one int) bool { return one == pid }
	p.ForgetOrphan(pid)
	p.foreign, p.Tree.Spare = slices.DeleteFunc(p.foreign, is), slices.DeleteFunc(p.Tree.Spare, is)
}

// noChildren says whether there is no child but the disowned ones and the guardian. What
// cannot be known is not taken for none: the sweep goes on then.
func (p *Place) noChildren() bool {
	if p.foster.PID() > 0 && !p.foster.Barren() {
		return false
	}
	children, err := subreaper.OwnChildren()
	if err != nil {
		return false
	}
	for _, pid := range children {
		if pid != p.helper && pid != p.foster.PID() && !slices.Contains(p.Tree.Spare, pid) {
			return false
		}
	}
	return true
}

// watch is the loop's Watch: all jobs of the session by one watcher.
func (p *Place) watch(c supervisor.Containment) (w supervisor.Watcher, key int, err error) {
	j, ok := c.(*Job)
	if c == supervisor.Containment(p) {
		j, ok = p.job, p.job != nil
	}
	if !ok {
		return nil, 0, nil
	}
	if p.watcher == nil {
		if p.watcher, err = cgroup.NewWatcher(); err != nil {
			return nil, 0, err
		}
	}
	key, err = p.watcher.Watch(j.Job)
	return p.watcher, key, err
}

// JobOf returns the name of the job that a process, living or zombie, is in, from the
// text of its /proc/PID/cgroup; "": none of the session's.
func (p *Place) JobOf(membership string) string {
	if p.session == nil {
		return ""
	}
	_, rest, ok := strings.Cut(membership, "/"+p.session.Name()+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// claim has the jobs get what controllers there are.
func (p *Place) claim() error {
	if p.job == nil {
		return p.session.Claim()
	}
	return p.session.Claim(p.job.Job)
}

// Announce has "supervise list" know the fallback for what it is, until it is closed, or enters a
// cgroup.
func (p *Place) Announce() {
	if p.session == nil {
		p.beacon = max(jobs.Announce(), 0)
	}
}

func (p *Place) withdraw() {
	if p.beacon > 0 {
		unix.Close(p.beacon)
		p.beacon = 0
	}
}

// Enter turns a fallback into a place in a cgroup, and moves all descendants into its one
// job. On an error everything is where it was.
func (p *Place) Enter(where func() (*cgroup.Session, error), jobName string) error {
	in, err := open(where, jobName)
	if err != nil {
		return err
	}
	defer p.Tree.Still()()
	in.Tree = p.Tree // which spares the guardian of the fallback, if there is one
	if err = in.adopt(); err != nil {
		return errors.Join(err, in.Close())
	}
	p.dismiss()
	p.withdraw()
	in.Tree.Spare, in.sentinel = []int{in.guardian.PID()}, p.sentinel
	if in.sentinel != nil {
		in.Tree.Spare = append(in.Tree.Spare, in.sentinel.PID())
	}
	*p = *in
	p.job.place = p
	return nil
}

// adopt moves all descendants into the job.
func (p *Place) adopt() error {
	if err := p.Guard(); err != nil {
		return err
	}
	if err := p.job.Adopt(p.Tree.Each); err != nil {
		return err
	}
	p.session.RemoveStale()
	return p.claim()
}

// Close gives everything back when all jobs have ended. A second time it does nothing. The
// sentinel comes last: what it stands in is not to be empty before.
func (p *Place) Close() error {
	err := p.release()
	p.relieve()
	p.closed = true
	return err
}

// release gives everything back but the sentinel.
func (p *Place) release() error {
	p.withdraw()
	// It exits while we remove the directories; but where something is left, or that is not
	// known, it ends that when this process does.
	if p.guardian != nil && p.empty() {
		p.guardian.Dismiss()
	} else {
		p.guardian = nil
	}
	p.releaseFoster()
	if p.watcher != nil {
		p.watcher.Close()
	}
	if p.oomWatch != nil {
		p.oomWatch.Close()
	}
	for _, r := range p.removals { // the session's end removes the rest
		r.Close()
	}
	p.removals = nil
	program.Reap(p.helper) // unless the loop did
	p.helper = 0
	err := error(nil)
	if p.captured != nil {
		err = p.captured.Close()
		p.captured = nil
	}
	if p.job != nil && p.session != nil {
		err = errors.Join(err, p.job.Close())
	}
	if p.session != nil {
		if p.session.HoldsUs() {
			p.awaitGuardian()
		}
		err = errors.Join(err, p.session.Close())
		p.session = nil
	}
	p.awaitGuardian() // it exits meanwhile, if it may
	return err
}

func (p *Place) awaitGuardian() {
	if p.guardian != nil {
		p.guardian.Wait()
		p.guardian = nil
	}
}

// empty says whether it is known that nothing is left in the session.
func (p *Place) empty() bool {
	if p.session == nil {
		return true
	}
	empty, err := p.session.Empty()
	return empty && err == nil
}

// GiveUp turns to the fallback.
func (p *Place) GiveUp(reason error) error {
	err := p.release()
	p.job, p.reason = nil, reason.Error()
	p.Containment, p.Tree.Spare = &p.Tree, slices.Clone(p.foreign)
	if p.sentinel != nil { // we are still where we have moved to
		p.Tree.Spare = append(p.Tree.Spare, p.sentinel.PID())
	}
	return err
}
