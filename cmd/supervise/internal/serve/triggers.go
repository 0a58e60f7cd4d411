package serve

import (
	"errors"
	"reflect"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// limitEvents tell when jobs meet their limits. One inotify descriptor serves all jobs;
// it is opened for the first job whose owner asks for oom or limit.
type limitEvents struct {
	v       *server
	watcher *cgroup.Watcher
	jobs    map[int]*job // by the watcher's key
}

// watchLimits has the server hear when the job meets a limit. The kernel marks
// memory.events and pids.events as modified when a count in them changes (cgroup v2).
func (v *server) watchLimits(j *job) error {
	// Most owners never ask for limits, and a job without them costs no watch.
	if v.events == nil {
		w, err := cgroup.NewWatcher()
		if err != nil {
			return err
		}
		v.events = &limitEvents{v, w, map[int]*job{}}
		v.events.listen()
	}
	// The files count what happened in the whole subtree, so the job's own sub-cgroups
	// are included.
	for _, file := range []string{"memory.events", "pids.events"} {
		key, err := v.events.watcher.WatchFile(j.held.Job, file)
		if err == nil {
			v.events.jobs[key] = j
			j.watches = append(j.watches, key)
		} else if !errors.Is(err, unix.ENOENT) { // the job lacks the controller, and so its limits
			return err
		}
	}
	return nil
}

// listen begins to hear of limits, or goes on.
func (e *limitEvents) listen() {
	err := e.v.poller.Watch(e.watcher.FD(), unix.EPOLLIN, func(uint32) { e.read() })
	e.v.failed = errors.Join(e.v.failed, err)
}

// read reads the counts of the jobs whose files have changed. While the owner does not
// read it is put off, which loses nothing: the counts only grow, and the next
// notification tells their sum.
func (e *limitEvents) read() {
	if e.v.blocked() {
		e.v.poller.Watch(e.watcher.FD(), 0, nil)
		e.v.waiting = append(e.v.waiting, e.listen)
		return
	}
	for _, key := range e.watcher.Read() {
		j := e.jobs[key]
		// A job that has ended since, whose watch the kernel has not dropped yet.
		if j == nil {
			continue
		}
		if j.start != nil {
			j.start.later = append(j.start.later, j.lookAtLimits)
		} else {
			j.lookAtLimits()
		}
	}
}

// lookAtLimits reads the counts, and tells what has changed.
func (j *job) lookAtLimits() {
	if s, err := j.held.Stats(); err == nil {
		j.tellLimits(s)
	}
}

// close ends all watches.
func (e *limitEvents) close() {
	e.v.poller.Forget(e.watcher.FD())
	e.watcher.Close()
}

// tellLimits tells what has changed: one notification for all that happened since the
// last. It is called once more at the end of the job: the kernel marks a file at most
// once in 10 ms (cgroup_file_notify), and the loop may see the end first.
func (j *job) tellLimits(s *cgroup.Stats) {
	last := j.told
	j.told = protocol.LimitHit{Job: j.number, Time: now()}
	if s.Memory != nil {
		j.told.Memory = record.MemoryEvents(s.Memory.Events)
	}
	if s.Pids != nil {
		j.told.PidsMax = s.Pids.MaxEvents
	}
	killed := oomKills(j.told.Memory) > oomKills(last.Memory)
	// oom comes before limit, of which it is the graver part.
	if j.oomWanted && killed {
		j.v.notify(protocol.NoteOOM, &j.told)
	}
	if j.limitWanted && hasMet(&j.told) && !(reflect.DeepEqual(last.Memory, j.told.Memory) && reflect.DeepEqual(last.PidsMax, j.told.PidsMax)) {
		j.v.notify(protocol.NoteLimit, &j.told)
	}
}

// hasMet says whether any count is above 0; a count that the kernel lacks is nil.
func hasMet(hit *protocol.LimitHit) bool {
	counts := []*uint64{hit.PidsMax}
	if m := hit.Memory; m != nil {
		counts = append(counts, m.Low, m.High, m.Max, m.OOM, m.OOMKill)
	}
	for _, c := range counts {
		if c != nil && *c > 0 {
			return true
		}
	}
	return false
}

// oomKills is the number of processes that the kernel has killed for memory.
func oomKills(m *protocol.MemoryEvents) uint64 {
	if m == nil || m.OOMKill == nil {
		return 0
	}
	return *m.OOMKill
}

// A pressureTrigger is one that the owner asked for, as it was asked for and as the
// kernel is told.
type pressureTrigger struct {
	protocol.PressureTrigger
	trigger cgroup.Trigger
}

// newPressureTrigger checks what the kernel would refuse with a bare EINVAL: its window
// is from 500 ms to 10 s (psi_trigger_create). The comparisons are written so that NaN
// fails.
func newPressureTrigger(p protocol.PressureTrigger) (pressureTrigger, error) {
	stall, window := time.Duration(p.StallS*1e9), time.Duration(p.WindowS*1e9)
	switch {
	case p.Resource != "cpu" && p.Resource != "memory" && p.Resource != "io":
		return pressureTrigger{}, errors.New("want resource cpu, memory or io")
	case !(p.WindowS >= 0.5 && p.WindowS <= 10):
		return pressureTrigger{}, errors.New("want window_s from 0.5 to 10")
	case !(p.StallS > 0 && p.StallS <= p.WindowS):
		return pressureTrigger{}, errors.New("want stall_s above 0, and at most window_s")
	}
	return pressureTrigger{p, cgroup.Trigger{Resource: p.Resource, Full: p.Full, Stall: stall, Window: window}}, nil
}

// startTriggers arms the triggers, each a descriptor of its own. poll(2) clears an event
// of a trigger (psi_trigger_poll), so each is an input of the loop's: behind the poller's
// epoll the loop's poll(2) would take the event, and Dispatch would find none.
func (j *job) startTriggers(list []pressureTrigger) error {
	for _, p := range list {
		fd, err := j.held.Trigger(p.trigger)
		if err != nil {
			return err
		}
		j.triggers = append(j.triggers, fd)
		j.v.s.Inputs = append(j.v.s.Inputs, supervisor.Input{
			FD: fd, Read: func() bool { return j.pressed(p.PressureTrigger) }, Events: func() int16 { return unix.POLLPRI },
		})
	}
	return nil
}

// pressed tells of pressure; while the owner does not read it is dropped, as late it is
// worth nothing. When the cgroup is being removed the kernel wakes the trigger once more,
// for which the job is empty: then it is over.
func (j *job) pressed(p protocol.PressureTrigger) (more bool) {
	if empty, err := j.held.Empty(); empty || err != nil {
		return false
	}
	if !j.v.blocked() && j.start == nil {
		j.v.notify(protocol.NotePressure, &protocol.PressureHit{Job: j.number, PressureTrigger: p, Time: now()})
	}
	return true
}

// stopTriggers has the loop forget each trigger before its number can be another's.
func (j *job) stopTriggers() {
	for _, fd := range j.triggers {
		// The loop may be going through its inputs just now; Drop only marks this one.
		j.v.s.Drop(fd)
		unix.Close(fd)
	}
	j.triggers = nil
}
