package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A servedJob is one of a server's. It is forgotten when its end has been told.
type servedJob struct {
	v      *server
	number int
	pid    int // of the main process
	name   string
	argv   []string
	tags   map[string]string

	job    *supervisor.Job
	cgroup *cgroup.Job // nil: it is nested
	nested *nested     // nil: it is in a cgroup

	limits     cgroup.Limits
	unenforced []protocol.Unenforced
	oomWatch   *cgroup.OOMWatch
	samples    *samples        // nil: none
	account    *cgroup.Account // nil: not read yet

	outputs  []*output
	triggers []int // of pressure
	watches  []int // of limits
	waits    []json.RawMessage

	descendants, oomWanted, limitWanted, frozen, detaching bool
	told                                                   protocol.LimitHit // by limit and oom
}

// minSample keeps samples from costing more than they tell.
const minSample = time.Millisecond

// A cgroupHold is the containment of a served job.
type cgroupHold struct {
	*cgroup.Job
	j *servedJob
}

// Close reads the counters and removes the cgroup.
func (h cgroupHold) Close() error {
	j := h.j
	if j.account == nil {
		j.account = j.oomWatch.Account(j.job.EndedUnkilled())
	}
	if j.oomWanted || j.limitWanted {
		j.tellLimits(j.account.Stats)
	}
	if j.samples != nil {
		j.samples.close()
	}
	delete(j.v.dirs, h.Name())
	return h.Job.Close()
}

// account implements supervisor.Serving.
func (v *server) account(jobs []*supervisor.Job) {
	var list []*servedJob
	var watches []*cgroup.OOMWatch
	for _, job := range jobs {
		if j := v.served(job); j.cgroup != nil {
			list, watches = append(list, j), append(watches, j.oomWatch)
		}
	}
	for i, a := range cgroup.Accounts(watches) {
		list[i].account = a
	}
}

// Sample implements supervisor.Sampler.
func (h cgroupHold) Sample(at time.Time) { h.j.samples.look(at) }

// startInCgroup starts the job in a cgroup of its own.
func (j *servedJob) startInCgroup(p *plan) (err error) {
	if j.cgroup, err = j.v.hold.session.NewJob(j.name); err != nil {
		return err
	}
	if err = j.prepare(p); err == nil {
		err = j.v.room()
	}
	if err == nil {
		p.spec.Containment = cgroupHold{j.cgroup, j}
		err = j.startSpec(&p.spec)
	}
	if err != nil {
		j.abandon()
		return err
	}
	j.v.dirs[j.cgroup.Name()] = j
	j.pid = j.job.PID()
	return nil
}

// prepare has all done that needs the cgroup, and no process in it.
func (j *servedJob) prepare(p *plan) (err error) {
	if p.Delegate {
		if err := j.cgroup.Delegate(); err != nil {
			return err
		}
	}
	if j.limits, j.unenforced, err = j.limit(p.limits, p.BestEffort); err != nil {
		return err
	}
	if j.oomWatch, err = j.cgroup.WatchOOM(); err != nil {
		return err
	}
	if p.spec.Every > 0 {
		if err := j.startSamples(); err != nil {
			return err
		}
	}
	if err := j.startTriggers(p.pressing); err != nil {
		return err
	}
	if j.oomWanted || j.limitWanted {
		return j.v.watchLimits(j)
	}
	return nil
}

// startSpec starts the main process. A file that is executable but of no known
// format is a shell script, as it is for execvp(3).
func (j *servedJob) startSpec(spec *supervisor.Spec) (err error) {
	if j.job, err = j.v.s.Start(*spec); err == unix.ENOEXEC {
		spec.Argv = append([]string{"sh", spec.Path}, spec.Argv[1:]...)
		spec.Path = "/bin/sh"
		j.job, err = j.v.s.Start(*spec)
	}
	return err
}

// abandon removes the cgroup of a job that was not started.
func (j *servedJob) abandon() {
	j.stopWatching()
	if j.samples != nil {
		j.samples.sampler.Close()
	}
	j.cgroup.Close()
}

func (j *servedJob) stopWatching() {
	j.stopTriggers()
	for _, key := range j.watches {
		delete(j.v.events.jobs, key) // the watch ends with the directory
	}
}

// path is the job's cgroup; nil: none.
func (j *servedJob) path() *string {
	if j.cgroup == nil {
		return nil
	}
	path := j.cgroup.Path()
	return &path
}

// watch is the supervisor's Watch.
func (v *server) watch(c supervisor.Containment) (supervisor.Watcher, int, error) {
	if h, ok := c.(cgroupHold); ok {
		return v.hold.watchJob(h.Job)
	}
	return nil, 0, nil
}

// signal sends a signal to the main process, or to all.
func (j *servedJob) signal(sig unix.Signal, all bool) error {
	switch {
	case all && j.frozen:
		return j.signalFrozen(sig)
	case all:
		return j.job.Containment.Signal(sig)
	case j.nested != nil:
		return j.nested.signal(j.pid, sig)
	case j.job.HasExited():
		return failure(protocol.CodeNoJob, "job", "the main process of job %d has ended; see \"all\"", j.number)
	}
	return os.NewSyscallError("kill", unix.Kill(j.pid, sig))
}

// signalFrozen sends a signal to all, and thaws nobody. Frozen, none is being forked,
// and none can go and leave its number to another.
func (j *servedJob) signalFrozen(sig unix.Signal) error {
	pids, err := j.cgroup.Procs()
	for _, pid := range pids {
		if e := unix.Kill(pid, sig); e != nil && e != unix.ESRCH {
			err = errors.Join(err, fmt.Errorf("sending signal %d to process %d: %w", sig, pid, e))
		}
	}
	return err
}

// stop ends the job. One that is frozen could not act on the signal.
func (j *servedJob) stop(cause protocol.Cause, sig unix.Signal, grace time.Duration) {
	if j.frozen {
		j.setFrozen(false)
	}
	if j.job.State() <= supervisor.Stopping {
		j.job.Stop(cause, sig, grace)
	}
}

func (j *servedJob) setFrozen(frozen bool) error {
	if j.cgroup == nil {
		return failure(protocol.CodeUnsupported, "", "to freeze a job needs a cgroup")
	}
	err := j.cgroup.Thaw()
	if frozen {
		err = j.cgroup.Freeze()
	}
	if err == nil {
		j.frozen = frozen
	}
	return err
}

// limit sets limits, and says which of them hold.
func (j *servedJob) limit(given cgroup.Limits, bestEffort bool) (set cgroup.Limits, unenforced []protocol.Unenforced, err error) {
	if len(given) == 0 {
		return nil, nil, nil
	}
	if j.cgroup == nil {
		if !bestEffort {
			return nil, nil, failure(protocol.CodeUnsupported, "limits", "limits need a cgroup: %s", j.v.hold.why())
		}
		for _, l := range given {
			unenforced = append(unenforced, protocol.Unenforced{Name: l.Name(), Reason: "it needs a cgroup: " + j.v.hold.why()})
		}
		return nil, unenforced, nil
	}
	h := hold{job: j.cgroup}
	err = h.setLimits(given.Complete(), bestEffort, false)
	var failed cgroup.LimitErrors
	if errors.As(err, &failed) {
		err = failure(protocol.CodeLimit, "limits."+failed[0].Limit.Flag, "%s", oneLine(err))
	}
	return h.limits, h.unenforced, err
}

// state is what list and stat tell.
func (j *servedJob) state() protocol.JobState {
	states := map[supervisor.State]protocol.State{
		supervisor.Running: protocol.StateRunning, supervisor.Waiting: protocol.StateWaiting,
		supervisor.Stopping: protocol.StateStopping, supervisor.Killing: protocol.StateKilling,
	}
	tags := j.tags
	if tags == nil {
		tags = map[string]string{}
	}
	return protocol.JobState{
		Job: j.number, PID: j.pid, Name: j.name, Tags: tags, State: states[j.job.State()], Frozen: j.frozen,
		Cgroup: j.path(), Started: protocol.Time{Time: j.job.Started()},
	}
}

// maxProcs bounds what stat lists.
const maxProcs = 1000

func (j *servedJob) stat() *protocol.StatResult {
	r := &protocol.StatResult{JobState: j.state()}
	if j.cgroup == nil {
		return r
	}
	if pids, err := j.cgroup.Procs(); err == nil {
		r.Procs = append([]int{}, pids[:min(len(pids), maxProcs)]...)
	}
	if s, err := newSamples(j.cgroup); err == nil {
		s.started = j.job.Started()
		r.Sample = s.take(time.Now())
		s.sampler.Close()
	}
	return r
}

func (j *servedJob) startSamples() (err error) {
	j.samples, err = newSamples(j.cgroup)
	return err
}

// mark ends a phase and begins another; the first reaches back to this moment or,
// if there are samples, to the start.
func (j *servedJob) mark(name string) (*protocol.Phase, error) {
	switch {
	case j.cgroup == nil:
		return nil, failure(protocol.CodeUnsupported, "", "to mark phases needs a cgroup")
	case len(name) > maxMark:
		return nil, failure(protocol.CodeInvalidParams, "name", "name: at most %d bytes", maxMark)
	case j.samples == nil:
		if err := j.startSamples(); err != nil {
			return nil, err
		}
		if err := j.v.room(); err != nil {
			j.samples.sampler.Close()
			j.samples = nil
			return nil, err
		}
		j.samples.sinceStart(j.job.Started())
	}
	if len(j.samples.phases) >= maxPhases {
		return nil, failure(protocol.CodeTooMany, "", "the job has %d phases already", maxPhases)
	}
	j.samples.mark(name)
	return &j.samples.phases[len(j.samples.phases)-1], nil
}
