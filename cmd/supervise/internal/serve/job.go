package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A job is one of a server's, from the answer to spawn until ended was told, or it was
// detached. It is the server's half; loop is the half that the core loop runs.
type job struct {
	v      *server
	number int
	pid    int // of the main process
	name   string
	argv   []string
	tags   map[string]string

	start  *start // under way; nil: the main process has executed its program
	loop   *supervisor.Job
	held   *containment.Job // the job in its cgroup; nil: it is nested
	nested *nestedJob       // nil: the job is in a cgroup

	unenforced []protocol.Unenforced // of a nested job

	outputs  []*output
	inputs   []*input
	waiting  int        // bytes of input
	terminal *terminal  // nil: none
	ready    *readiness // nil: not asked for
	pipeline *pipelined // nil: one command
	killing  *killing   // nil: no kill waits for the end

	triggers []int             // descriptors of PSI triggers, the job's to close
	watches  []int             // the watcher's keys of its memory.events and pids.events
	waits    []json.RawMessage // ids of the requests to be answered after ended

	descendants, oomWanted, limitWanted, frozen, detaching bool
	told                                                   protocol.LimitHit // the counts that limit and oom told last
}

// minSample keeps samples from costing more than they tell: each is a read of every
// counter's file.
const minSample = time.Millisecond

// readAccounts implements supervisor.Serving: it has the counters read of jobs that end
// together, in parallel, before any of their directories is removed.
func (v *server) readAccounts(jobs []*supervisor.Job) {
	var held []*containment.Job
	for _, of := range jobs {
		if j := jobOf(of); j.held != nil {
			held = append(held, j.held)
		}
	}
	containment.Accounts(held)
}

// startInCgroup starts the job in a cgroup of its own. The reserve is checked after all
// descriptors of the job are open and before its process exists: from then on there would
// be something to kill.
func (j *job) startInCgroup(p *plan) (err error) {
	if j.held, err = j.v.place.NewJob(j.name, j.number); err != nil {
		return err
	}
	if err = j.prepare(p); err == nil {
		err = j.v.checkDescriptorReserve()
	}
	if err == nil {
		// The terminal of a session whose leader has died is hung up: it serves no second try.
		j.held.Overlap = p.terminal == nil
		p.spec.Containment = j.held
		j.loop, err = j.v.s.StartProgram(p.spec)
	}
	if err != nil {
		j.abandon()
		return err
	}
	j.v.dirs[j.held.Name()] = j
	j.pid = j.loop.PID()
	return nil
}

// prepare has everything done that needs the cgroup and no process in it: limits hold
// from the first instruction of the job, and counters begin at 0.
func (j *job) prepare(p *plan) (err error) {
	if p.Delegate {
		if err := j.held.Delegate(); err != nil {
			return err
		}
	}
	if len(p.limits) > 0 {
		if err := j.held.SetLimits(p.limits, p.BestEffort, nil); err != nil {
			return limitError(err)
		}
	}
	// The OOM counters of the ancestors are read here, to be compared with those at the
	// end.
	if err := j.held.Count(); err != nil {
		return err
	}
	if p.spec.Every > 0 {
		if err := j.held.StartSamples(); err != nil {
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

// abandon removes the cgroup of a job that was not started. No process was in it, so it
// goes at once.
func (j *job) abandon() {
	j.stopWatching()
	j.held.Close()
}

// stopWatching lets go of the triggers and the watches. An inotify watch ends with its
// file, so only the key is forgotten; an event for a key that is not there is passed
// over.
func (j *job) stopWatching() {
	j.stopTriggers()
	for _, key := range j.watches {
		delete(j.v.events.jobs, key)
	}
}

// size is how much of the job's memory here the owner has chosen.
func (j *job) size() (n int) {
	for _, argument := range j.argv {
		n += len(argument)
	}
	for name, value := range j.tags {
		n += len(name) + len(value)
	}
	return n
}

// forget is called when the owner has heard the last of the job.
func (v *server) forget(j *job) {
	delete(v.jobs, j.number)
	v.kept -= j.size()
}

// limits are those that the job began with, for the answer to spawn. Both lists are empty
// rather than null where there are none.
func (j *job) limits() ([]protocol.Limit, []protocol.Unenforced) {
	if j.held == nil {
		return []protocol.Limit{}, append([]protocol.Unenforced{}, j.unenforced...)
	}
	return j.held.Limits()
}

// path is the job's cgroup; nil: it has none, which is null in JSON.
func (j *job) path() *string {
	if j.held == nil {
		return nil
	}
	path := j.held.Path()
	return &path
}

// signal sends a signal to the main process, or to all. The pid of the main process is
// its own until the loop has reaped it, which HasExited tells: both are of one goroutine,
// so it cannot change in between.
func (j *job) signal(sig unix.Signal, all bool) error {
	switch {
	// The usual way, freeze, signal and thaw, would thaw a job that the owner has frozen.
	case all && j.frozen:
		return j.signalFrozen(sig)
	case all:
		return j.loop.Containment.Signal(sig)
	case j.nested != nil:
		return j.nested.signalChild(j.target(), sig)
	case j.loop.HasExited():
		return failure(protocol.CodeNoJob, "job", "the main process of job %d has ended; see \"all\"", j.number)
	}
	send := unix.Kill
	if j.frozen && j.pipeline == nil {
		send = proc.SignalHeld
	}
	return os.NewSyscallError("kill", send(j.target(), sig))
}

// target is the main process, for kill(2); of a pipeline the process group that it leads, in
// which the commands are.
func (j *job) target() int {
	if j.pipeline != nil {
		return -j.pid
	}
	return j.pid
}

// signalFrozen sends a signal to every process of a frozen job, and thaws none of them.
// While frozen, no process forks, and none can go and leave its number to another.
// SIGKILL takes effect at once, other signals at the thaw.
func (j *job) signalFrozen(sig unix.Signal) error {
	pids, err := j.held.Job.Procs()
	for _, pid := range pids {
		if e := proc.SignalHeld(pid, sig); e != nil && e != unix.ESRCH {
			err = errors.Join(err, fmt.Errorf("sending signal %d to process %d: %w", sig, pid, e))
		}
	}
	return errors.Join(err, j.held.SignalStrays(sig))
}

// stop ends the job: sig, then the kill after grace. A frozen job could not act on the
// signal, so it is thawed first. A job that is being killed already is left alone.
func (j *job) stop(cause protocol.Cause, sig unix.Signal, grace time.Duration) {
	if j.frozen {
		j.setFrozen(false)
	}
	// Stopping again shortens the grace, or lengthens it.
	if j.loop.State() <= supervisor.Stopping {
		j.loop.Stop(cause, sig, grace)
	}
}

// setFrozen freezes the job, or thaws it; -32008 without a cgroup. To freeze one that is
// frozen changes nothing: it is not thawed first, for it would run for a moment.
func (j *job) setFrozen(frozen bool) (err error) {
	switch {
	case j.held == nil:
		return failure(protocol.CodeUnsupported, "", "to freeze a job needs a cgroup")
	case frozen:
		err = j.held.Freeze()
	default:
		err = j.held.Thaw()
	}
	if err == nil {
		j.frozen = frozen
	}
	return err
}

// limit sets limits of a running job, and says which of them hold. Complete adds those
// that others imply. On an error all but the limits that it names are set.
func (j *job) limit(given cgroup.Limits, bestEffort bool) (*protocol.LimitResult, error) {
	none := &protocol.LimitResult{Limits: []protocol.Limit{}, Unenforced: []protocol.Unenforced{}}
	switch {
	case len(given) == 0:
		return none, nil
	case j.held == nil && !bestEffort:
		return nil, failure(protocol.CodeUnsupported, "limits", "limits need a cgroup: %s", j.v.place.WhyNot())
	case j.held == nil:
		none.Unenforced = append(none.Unenforced, j.v.unlimited(given)...)
		return none, nil
	}
	set, not, err := j.held.Limit(given.Complete(), bestEffort, nil)
	return &protocol.LimitResult{Limits: record.Limits(set), Unenforced: append([]protocol.Unenforced{}, not...)}, limitError(err)
}

// unlimited lists limits as not enforced, with the reason why there is no cgroup.
func (v *server) unlimited(given cgroup.Limits) (list []protocol.Unenforced) {
	for _, l := range given {
		list = append(list, v.needsCgroup(l.Name()))
	}
	return list
}

func (v *server) needsCgroup(name string) protocol.Unenforced {
	return protocol.Unenforced{Name: name, Reason: "it needs a cgroup: " + v.place.WhyNot()}
}

// limitError gives -32007 and names the limit that cannot be had, if the error is about
// one.
func limitError(err error) error {
	var failed cgroup.LimitErrors
	if errors.As(err, &failed) {
		return failure(protocol.CodeLimit, "limits."+failed[0].Limit.Flag, "%s", cli.OneLine(err))
	}
	return err
}

// state is what list and stat tell. A job that has ended is in neither, so there is no
// word for that state.
func (j *job) state() protocol.JobState {
	tags := j.tags
	if tags == nil {
		tags = map[string]string{}
	}
	return protocol.JobState{
		Job: j.number, PID: j.pid, Name: j.name, Tags: tags, State: protocol.State(j.loop.State().String()), Frozen: j.frozen,
		Cgroup: j.path(), Started: protocol.Time{Time: j.loop.Started()},
	}
}

// maxProcs bounds the pids that stat lists, for an answer of a few kilobytes.
const maxProcs = 1000

// stat reads everything anew. Without a cgroup it has the state alone.
func (j *job) stat() *protocol.StatResult {
	r := &protocol.StatResult{JobState: j.state()}
	if j.held == nil {
		return r
	}
	if pids, err := j.held.Procs(); err == nil {
		r.Procs = append([]int{}, pids[:min(len(pids), maxProcs)]...)
	}
	r.Sample, _ = record.One(j.held.Job, j.loop.Started()) // what cannot be read is null
	return r
}

// mark ends a phase and begins another. The first phase reaches back to the start of the
// job: without samples there was no reading then, but all counters began at 0.
func (j *job) mark(name string) (*protocol.Phase, error) {
	switch {
	case j.held == nil:
		return nil, failure(protocol.CodeUnsupported, "", "to mark phases needs a cgroup")
	case len(name) > record.MaxMark:
		return nil, failure(protocol.CodeInvalidParams, "name", "name: at most %d bytes", record.MaxMark)
	case j.held.Samples == nil:
		if err := j.held.StartSamples(); err != nil {
			return nil, err
		}
		// Samples keep several files open for the rest of the job.
		if err := j.v.checkDescriptorReserve(); err != nil {
			j.held.DropSamples()
			return nil, err
		}
		j.held.Samples.SinceStart(j.loop.Started())
	}
	phase := j.held.Samples.Mark(name)
	if phase == nil {
		return nil, failure(protocol.CodeTooMany, "", "the job has %d phases already", record.MaxPhases)
	}
	return phase, nil
}
