package containment

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A Job is one job in a cgroup: its directory, the limits that hold there, and what was
// counted. It is a containment for the loop.
type Job struct {
	*cgroup.Job
	place   *Place
	number  int             // that its mark has
	killing bool            // Kill was called
	astray  bool            // orphans of it were seen when its cgroup was empty
	exiting bool            // when it was last looked at, what has left the cgroup was, all of it
	Samples *record.Samples // nil: none are taken

	Overlap    bool            // Start need not wait for the execve(2): see TakeBirth
	birth      *guardian.Birth // nil: there is none, or it was taken
	limits     cgroup.Limits   // that are enforced
	unenforced []protocol.Unenforced
	oomWatch   *cgroup.OOMWatch // nil: the record will not say what the job used
	account    *cgroup.Account  // nil: not read yet
	waits      bool             // the main process has ended, and the rest is waited for
	oomBefore  uint64           // OOM kills until then
}

// NewJob makes the cgroup of a job. The number is for its mark.
func (p *Place) NewJob(name string, number int) (*Job, error) {
	j, err := p.session.NewJob(name)
	if err != nil {
		return nil, err
	}
	return &Job{Job: j, place: p, number: number}, nil
}

// Start implements supervisor.Containment: the main process is born with the job's mark.
func (j *Job) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	if g := j.place.guardian; g != nil {
		g.Apart()
	}
	defer j.place.marks.Wear(j.Mark())()
	fork := guardian.Launch
	if j.Overlap && j.MayOverlap() {
		fork = j.begin
	}
	pid, err = j.StartBy(fork, path, argv, attr)
	if join := (*cgroup.JoinError)(nil); errors.As(err, &join) {
		pid, err = signals.Start(j.Job.Start, path, argv, attr)
	}
	return pid, err
}

// begin is guardian.Launch, if possible without the waiting. What is wrong with a birth is for
// Launch to find out.
func (j *Job) begin(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	if j.birth, err = guardian.Begin(path, argv, attr); err != nil {
		return guardian.Launch(path, argv, attr)
	}
	return j.birth.PID, nil
}

// TakeBirth returns what is to be waited for before the main process is known to have executed
// its program; nil: it has. It is the caller's from then on.
func (j *Job) TakeBirth() (b *guardian.Birth) {
	b, j.birth = j.birth, nil
	return b
}

// Mark is that of the job's processes; 0: they have none.
func (j *Job) Mark() subreaper.Mark { return j.place.marks.Of(j.number) }

// SetLimits sets the limits that the job begins with, which the record will name.
func (j *Job) SetLimits(given cgroup.Limits, bestEffort bool, warn func(error)) (err error) {
	j.limits, j.unenforced, err = j.Limit(given.Complete(), bestEffort, warn)
	return err
}

// Limit sets limits, and says which of them hold. One that cannot be had is an error
// (cgroup.LimitErrors), or with bestEffort unenforced, of which warn, if not nil, is told.
func (j *Job) Limit(limits cgroup.Limits, bestEffort bool, warn func(error)) (set cgroup.Limits, not []protocol.Unenforced, err error) {
	err = j.Job.Limit(limits)
	var failed cgroup.LimitErrors
	if !errors.As(err, &failed) || !bestEffort {
		return limits, nil, err
	}
	limits = slices.Clone(limits) // the caller's stay whole
	for _, e := range failed {
		not = append(not, unenforced(e.Limit, e, warn))
		limits = slices.DeleteFunc(limits, func(one cgroup.Limit) bool { return one == e.Limit })
	}
	return limits, not, nil
}

func unenforced(l cgroup.Limit, why error, warn func(error)) protocol.Unenforced {
	if warn != nil {
		warn(fmt.Errorf("not enforced: %w", why))
	}
	return protocol.Unenforced{Name: l.Name(), Reason: cli.OneLine(why)}
}

// Limits are those that the job began with, as the record has them.
func (j *Job) Limits() ([]protocol.Limit, []protocol.Unenforced) {
	return record.Limits(j.limits), append([]protocol.Unenforced{}, j.unenforced...)
}

// keptLimits are the limits at the end of the job. One that is not as it was set any more, or may
// not be, is not enforced: a job that owns its cgroup can write to it.
func (j *Job) keptLimits() ([]protocol.Limit, []protocol.Unenforced) {
	kept, not := slices.Clone(j.limits), slices.Clone(j.unenforced)
	for _, c := range j.Changed() {
		kept = slices.DeleteFunc(kept, func(one cgroup.Limit) bool { return one.File == c.Limit.File })
		not = append(not, unenforced(c.Limit, c, nil))
	}
	return record.Limits(kept), append([]protocol.Unenforced{}, not...)
}

// Count has the record say what the job uses. It is called before the job's start.
func (j *Job) Count() (err error) {
	j.oomWatch, err = j.WatchOOM()
	return err
}

// StartSamples begins to sample the job.
func (j *Job) StartSamples() (err error) {
	j.Samples, err = record.New(j.Job)
	return err
}

// DropSamples ends the sampling, as if it had not begun.
func (j *Job) DropSamples() {
	if j.Samples != nil {
		j.Samples.Close()
		j.Samples = nil
	}
}

// Sample implements supervisor.Sampler.
func (j *Job) Sample(at time.Time) {
	if j.Samples != nil {
		j.Samples.Look(at)
	}
}

// Waits implements supervisor.Waiter: an OOM kill that comes now is not the main process's to
// deal with, and the job does not come to its end.
func (j *Job) Waits() {
	if j.oomWatch != nil {
		j.waits, j.oomBefore = true, j.oomWatch.Kills()
	}
}

// OOMWhileWaiting says, when the record is made, whether there was an OOM kill after Waits.
func (j *Job) OOMWhileWaiting() bool {
	return j.waits && j.account != nil && j.account.OOMKills() > j.oomBefore
}

// Account returns the counters at the job's end; nil before that, or if none are read.
func (j *Job) Account() *cgroup.Account { return j.account }

// Accounts reads the counters of many jobs that are empty together: see cgroup.Accounts.
func Accounts(jobs []*Job) {
	watches := make([]*cgroup.OOMWatch, len(jobs))
	for i, j := range jobs {
		watches[i] = j.oomWatch
	}
	for i, a := range cgroup.Accounts(watches) {
		jobs[i].account = a
	}
}

// Record implements supervisor.Recorder. The counters are read here, as they go with the
// directory; what cannot be read is not known.
func (j *Job) Record(r *protocol.Record, unkilled bool) {
	path := j.Path()
	r.Containment, r.Cgroup, r.ContainmentReason = protocol.ContainmentCgroup, &path, record.Optional(j.place.Reason())
	r.Limits, r.Unenforced = j.keptLimits()
	if j.oomWatch != nil {
		if j.account == nil {
			j.account = j.oomWatch.Account(unkilled)
		}
		record.SetResources(r, j.account.Stats)
		record.SetOOM(r, j.account.OOM)
		if r.Cause == protocol.CauseExited && j.OOMWhileWaiting() {
			r.Cause = protocol.CauseOOM
		}
	}
	if j.Samples != nil {
		j.Samples.Finish(r)
	}
}

// Close removes the job's cgroup, which is empty. Where many jobs run, none waits for it.
func (j *Job) Close() error {
	if j.Samples != nil {
		j.Samples.Close()
	}
	if j.place.later == nil {
		return j.Job.Close()
	}
	rest, err := j.Remove()
	if rest != nil {
		j.place.later(rest)
	}
	return err
}
