package main

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

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
				UserS: float64(usage.Utime.Nano()) / 1e9, SystemS: float64(usage.Stime.Nano()) / 1e9, MainUsage: mainUsage(usage),
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
	b, err := proc.Read(pid, "cgroup", 0)
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

// unreaped implements supervisor.Serving: it finds the children that Attribute would.
func (v *server) unreaped(jobs []*supervisor.Job) map[*supervisor.Job]bool {
	if v.hold.session == nil || !slices.ContainsFunc(jobs, func(j *supervisor.Job) bool { return v.served(j).descendants }) {
		return nil
	}
	found := map[*supervisor.Job]bool{}
	for _, pid := range subreaper.Children(os.Getpid()) {
		if v.s.Knows(pid) {
			continue
		}
		if j := v.attribute(pid); j != nil && v.served(j).descendants {
			found[j] = true
		}
	}
	return found
}

func (j *servedJob) tellSample(p *protocol.Sample) {
	if !j.v.blocked() { // late, it is worth nothing
		j.v.notify(protocol.NoteSample, &protocol.JobSample{Job: j.number, Sample: *p})
	}
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
	setResources(record, j.account.Stats)
	setOOM(record, j.account.OOM)
	if j.samples != nil {
		j.samples.fill(record)
	}
	return record
}
