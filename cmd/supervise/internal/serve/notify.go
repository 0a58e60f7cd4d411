package serve

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// begun is called after the answer to spawn: it tells of the start, and only then begins
// to listen, so that started is the first notification of the job. What the job did
// before waits in pipes and sockets.
func (j *job) begun() {
	j.v.notify(protocol.NoteStarted, &protocol.JobStarted{
		Job: j.number, PID: j.pid, Name: j.name, Time: protocol.Time{Time: j.loop.Started()},
	})
	// Not earlier: a sample must not be told before started.
	if j.held != nil && j.held.Samples != nil {
		j.held.Samples.Tell = j.tellSample
	}
	for _, o := range j.outputs {
		o.listen(j)
	}
	if j.ready != nil {
		j.ready.listen(j)
	}
	if j.nested != nil {
		j.nested.listen()
	}
}

// hear is the loop's Tell: it turns events into notifications, in their order. A batch is
// flushed at its end, with one write for all that happened in a round of the loop.
func (v *server) hear(e supervisor.Event) {
	if e.Job != nil && jobOf(e.Job).start != nil {
		jobOf(e.Job).start.hear(e)
		return
	}
	switch e.Kind {
	case supervisor.StatusChanged:
		v.statusChanged(e)
	case supervisor.JobEnded:
		jobOf(e.Job).ended(e.Record)
	case supervisor.SignalArrived:
		v.signaled(e.Signal)
	case supervisor.BatchTold:
		v.answerStarts()
		if v.putOff != nil && v.putOff.mayGoOn() && !v.blocked() {
			v.requests()
		}
		v.conn.Flush()
	}
}

// statusChanged tells of a main process, or of a descendant if the owner asked for those.
// Of a nested job the main process is a supervisor, whose status is no news: its events
// tell.
func (v *server) statusChanged(e supervisor.Event) {
	if e.Job == nil {
		return
	}
	j, main := jobOf(e.Job), e.Job.PID() == e.Status.PID()
	if j.nested == nil && main || !main && j.descendants {
		j.tellStatus(e.Status, e.Usage, main)
	}
}

// jobOf returns the server's job for the loop's: start has put it into the tag.
func jobOf(of *supervisor.Job) *job { return of.Tag.(*job) }

// tellStatus tells of a change of a process's status. usage is that of the process and of
// the children it waited for (wait4(2)); it is set where the process has ended.
func (j *job) tellStatus(e *protocol.Event, usage *unix.Rusage, main bool) {
	switch {
	case e.Code().Ended():
		if main {
			j.ready.hearAll(j) // what it has said before comes first
		}
		j.v.notify(protocol.NoteExited, &protocol.ProcessExited{
			Job: j.number, PID: e.PID(), Main: main, Exit: *supervisor.NewExit(e), Time: now(),
			Usage: protocol.Usage{
				UserS: float64(usage.Utime.Nano()) / 1e9, SystemS: float64(usage.Stime.Nano()) / 1e9, MainUsage: supervisor.NewMainUsage(usage),
			},
		})
	case !main: // a descendant is told of once, at its end
	case e.Code() == protocol.Stopped:
		j.v.notify(protocol.NoteStopped, &protocol.JobStopped{
			Job: j.number, PID: e.PID(), Signal: signals.Name(unix.Signal(e.Status())), Time: now(),
		})
	case e.Code() == protocol.Continued:
		j.v.notify(protocol.NoteContinued, &protocol.JobContinued{Job: j.number, PID: e.PID(), Time: now()})
	}
}

// attribute implements supervisor.Serving: it finds the job of a zombie by its cgroup, or
// by its mark if it has left that. /proc/PID keeps both until the zombie is reaped (cgroup
// v2), which is why the loop asks before it reaps.
func (v *server) attribute(pid int) *supervisor.Job {
	if !v.place.InCgroup() {
		return nil
	}
	defer v.place.ForgetOrphan(pid)
	// A job's own sub-cgroups count as the job's.
	b, err := proc.Read(pid, "cgroup", 0)
	if err != nil {
		return nil
	}
	if j := v.dirs[v.place.JobOf(string(b))]; j != nil {
		return j.loop
	}
	if j := v.jobs[v.place.Marked(pid, v.last)]; j != nil {
		return j.loop
	}
	return nil
}

// strayed implements supervisor.Serving.
func (v *server) strayed(jobs []*supervisor.Job) []bool {
	if !v.place.InCgroup() {
		return make([]bool, len(jobs))
	}
	held := make([]*containment.Job, len(jobs))
	for i, of := range jobs {
		held[i] = jobOf(of).held
	}
	return v.place.Strayed(held)
}

// unreaped implements supervisor.Serving: it finds the jobs with a process that is about to
// be a zombie, and the children that attribute would. The latter costs a look at each child,
// so it is done only if a job that ends has asked for its descendants.
func (v *server) unreaped(jobs []*supervisor.Job) map[*supervisor.Job]bool {
	if !v.place.InCgroup() {
		return nil
	}
	found, wanted := map[*supervisor.Job]bool{}, false
	for _, of := range jobs {
		if j := jobOf(of); j.held.Exiting() {
			found[of] = true
		} else {
			wanted = wanted || j.descendants
		}
	}
	if !wanted {
		return found
	}
	for _, pid := range subreaper.Children(os.Getpid()) {
		// A main process, or a child that is no job's.
		if v.s.Knows(pid) {
			continue
		}
		if j := v.attribute(pid); j != nil && jobOf(j).descendants {
			found[j] = true
		}
	}
	return found
}

// tellSample drops the sample while the owner does not read: late, it is worth nothing.
func (j *job) tellSample(p *protocol.Sample) {
	if !j.v.blocked() {
		j.v.notify(protocol.NoteSample, &protocol.JobSample{Job: j.number, Sample: *p})
	}
}

// ended tells the last word about a job. The counts of oom and limit come first, then the
// rest of the output, then ended, then the answers to wait, then those to shutdown. The
// server has forgotten the job when the last of them is sent.
func (j *job) ended(result *protocol.Record) {
	v := j.v
	j.stopWatching()
	if v.jobs[j.number] == nil { // a nested job whose start has failed: the owner never had its number
		return
	}
	if j.held != nil {
		// A descendant that is reaped from here on is not told of: ended is the last.
		delete(v.dirs, j.held.Name())
		if j.oomWanted || j.limitWanted {
			j.tellLimits(j.held.Account().Stats)
		}
	}
	for _, in := range j.inputs {
		in.close(j)
	}
	j.ready.close(j)
	j.terminal.close()
	result.Name, result.Argv, result.Version = record.Optional(j.name), j.argv, v.version
	end := &protocol.JobEnded{Job: j.number, Tags: j.tags, Record: result}
	for _, o := range j.outputs {
		if o.begun {
			o.drain(j)
			end.Output = append(end.Output, o.end())
		}
	}
	end.Commands = j.pipeline.ends()
	// The loop calls this after it has closed the containment: the cgroup is gone by now.
	v.notify(protocol.NoteEnded, end)
	v.waits -= len(j.waits)
	for _, id := range v.take(&j.waits) {
		v.answer(id, end, nil, nil)
	}
	j.killing.answer(j, end)
	v.archive.store(j.number, j.kept())
	v.forget(j)
	if v.phase >= closing {
		v.answerShutters()
	}
}
