package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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
	samples    *samples // nil: none
	stats      *cgroup.Stats
	oom        cgroup.OOM

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
	if j.oomWanted || j.limitWanted {
		j.tellLimits()
	}
	j.stats, _ = h.Stats()
	if j.samples != nil {
		j.samples.close()
	}
	j.oom, _ = j.oomWatch.Cause()
	delete(j.v.dirs, h.Name())
	return h.Job.Close()
}

// Sample implements supervisor.Sampler.
func (h cgroupHold) Sample(at time.Time) { h.j.samples.look(at) }

// startInCgroup starts the job in a cgroup of its own.
func (j *servedJob) startInCgroup(p *plan) (err error) {
	if j.cgroup, err = j.v.hold.session.NewJob(j.name); err != nil {
		return err
	}
	if err = j.prepare(p); err == nil {
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

// begun tells of the job, after the answer to spawn.
func (j *servedJob) begun() {
	j.v.notify(protocol.NoteStarted, &protocol.JobStarted{
		Job: j.number, PID: j.pid, Name: j.name, Time: protocol.Time{Time: j.job.Started()},
	})
	if j.samples != nil {
		j.samples.tell = j.tellSample
	}
	for _, o := range j.outputs {
		o.listen(j)
	}
	if j.nested != nil {
		j.nested.listen()
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

// told implements supervisor.Serving.
func (v *server) told(of *supervisor.Job, e *protocol.Event, usage *unix.Rusage) {
	j := v.served(of)
	switch {
	case j == nil || j.nested != nil && of.PID() == e.PID():
		// nobody knows whose it was; or it is a supervisor below us
	case of.PID() == e.PID():
		j.tellStatus(e, usage, true)
	case j.descendants:
		j.tellStatus(e, usage, false)
	}
}

func (v *server) served(of *supervisor.Job) *servedJob {
	if of == nil {
		return nil
	}
	return of.Tag.(*servedJob)
}

// tellStatus tells of a change of a process's status.
func (j *servedJob) tellStatus(e *protocol.Event, usage *unix.Rusage, main bool) {
	switch {
	case e.Code().Ended():
		j.v.notify(protocol.NoteExited, &protocol.ProcessExited{
			Job: j.number, PID: e.PID(), Main: main, Exit: *exitOf(e), Time: now(),
			Usage: protocol.Usage{
				UserS: float64(usage.Utime.Nano()) / 1e9, SystemS: float64(usage.Stime.Nano()) / 1e9, Main: mainUsage(usage),
			},
		})
	case !main: // a descendant is told of once
	case e.Code() == protocol.Stopped:
		j.v.notify(protocol.NoteStopped, &protocol.JobStopped{
			Job: j.number, PID: e.PID(), Signal: signalName(unix.Signal(e.Status())), Time: now(),
		})
	case e.Code() == protocol.Continued:
		j.v.notify(protocol.NoteContinued, &protocol.JobContinued{Job: j.number, PID: e.PID(), Time: now()})
	}
}

// attribute finds the job of a zombie by its cgroup, which it is still in.
func (v *server) attribute(pid int) *supervisor.Job {
	if v.hold.session == nil {
		return nil
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return nil
	}
	_, rest, ok := strings.Cut(string(b), "/"+v.hold.session.Name()+"/")
	if !ok {
		return nil
	}
	dir, _, _ := strings.Cut(rest, "/")
	if j := v.dirs[dir]; j != nil {
		return j.job
	}
	return nil
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
			return nil, nil, failure(protocol.CodeUnsupported, "limits", "limits need a cgroup: %s", j.v.hold.reason)
		}
		for _, l := range given {
			unenforced = append(unenforced, protocol.Unenforced{Name: l.Name, Reason: "it needs a cgroup: " + j.v.hold.reason})
		}
		return nil, unenforced, nil
	}
	h := hold{job: j.cgroup}
	err = h.setLimits(given.Complete(), bestEffort, false)
	var failed cgroup.LimitErrors
	if errors.As(err, &failed) {
		err = failure(protocol.CodeLimit, "limits."+limitField(failed[0].Limit.Name), "%s", oneLine(err))
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

func (j *servedJob) tellSample(p *protocol.Sample) {
	if !j.v.blocked() { // late, it is worth nothing
		j.v.notify(protocol.NoteSample, &protocol.JobSample{Job: j.number, Sample: *p})
	}
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
		j.samples.sinceStart(j.job.Started())
	}
	if len(j.samples.phases) >= maxPhases {
		return nil, failure(protocol.CodeTooMany, "", "the job has %d phases already", maxPhases)
	}
	j.samples.mark(name)
	return &j.samples.phases[len(j.samples.phases)-1], nil
}

// ended tells the last word.
func (j *servedJob) ended(result *supervisor.Result) {
	v := j.v
	j.stopWatching()
	if v.jobs[j.number] == nil { // its start has failed after all
		j.nested.close()
		return
	}
	end := &protocol.JobEnded{Job: j.number, Tags: j.tags}
	for _, o := range j.outputs {
		if o.begun {
			o.drain(j)
			end.Output = append(end.Output, protocol.OutputEnd{FD: o.number, Bytes: o.told, DroppedBytes: o.dropped})
		}
	}
	if j.nested != nil {
		end.Record = j.nested.finish(result)
	} else {
		end.Record = j.record(result)
	}
	v.notify(protocol.NoteEnded, end)
	for _, id := range j.waits {
		v.answer(id, end, nil, nil)
	}
	v.waits -= len(j.waits)
	delete(v.jobs, j.number)
	if v.over || v.closing {
		v.answerShutters()
	}
}

func (j *servedJob) record(result *supervisor.Result) *protocol.Record {
	record := emptyRecord(j.name, j.argv, result.Started)
	record.Version = j.v.version
	setResult(record, result)
	record.Cgroup, record.ContainmentReason = j.path(), optional(j.v.hold.reason)
	record.Limits, record.Unenforced = limitsOf(j.limits), append(record.Unenforced, j.unenforced...)
	record.Containment = protocol.ContainmentCgroup
	setResources(record, j.stats)
	setOOM(record, j.oom)
	if j.samples != nil {
		j.samples.fill(record)
	}
	return record
}
