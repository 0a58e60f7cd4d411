package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A record is made in one direction: the loop begins it with what it saw, the
// containment fills in its part (see Recorder), the loop completes it when all is closed,
// and the front end adds the names that it knows and delivers it.

// NewRecord returns what a record says before anything is known of the job.
func NewRecord(started time.Time) *protocol.Record {
	return &protocol.Record{
		Schema: protocol.RecordSchema, Containment: protocol.ContainmentSubreaper, Leftovers: []protocol.Leftover{},
		Limits: []protocol.Limit{}, Unenforced: []protocol.Unenforced{},
		Started: protocol.Time{Time: started}, Ended: protocol.Time{Time: started},
	}
}

// makeRecord begins the record of a job that has ended, while its containment is open.
func (j *Job) makeRecord() {
	r := NewRecord(j.started)
	r.PID, r.Cause, r.Exit = &j.main, j.finalCause(), NewExit(j.exit)
	r.Ended.Time, r.WallS = j.ended, j.ended.Sub(j.started).Seconds()
	if j.usage != nil {
		r.Main = NewMainUsage(j.usage)
	}
	r.Leftovers = append(r.Leftovers, j.left...)
	if !j.hidden {
		r.LeftoversTotal = &j.leftAll
	}
	r.Reaped = j.reaped
	j.record = r
	if c, ok := j.Containment.(Recorder); ok {
		c.Record(r, j.unkilled)
	}
}

// completeRecord adds what is known when the containment is closed; without a front end
// that is when every child was reaped, all of which are the one job's.
func (j *Job) completeRecord() *protocol.Record {
	r := j.record
	if j.s.Tell == nil {
		r.Reaped = j.s.reaped
		if r.Containment == protocol.ContainmentSubreaper {
			r.CPU = j.s.used.cpu()
		}
	}
	if j.err != nil && r.Error == nil { // else the containment knew better what went wrong
		text := errorText(j.err)
		r.Error = &text
	}
	return r
}

func (j *Job) finalCause() protocol.Cause {
	switch {
	case j.cause != "":
		return j.cause
	case j.exit != nil && j.exit.Code() != protocol.Exited:
		return protocol.CauseSignaled
	}
	return protocol.CauseExited
}

// NewExit says how a process ended; nil: it did not.
func NewExit(e *protocol.Event) *protocol.Exit {
	if e == nil {
		return nil
	}
	if status := e.Status(); e.Code() == protocol.Exited {
		return &protocol.Exit{Code: &status}
	}
	name := signals.Name(unix.Signal(e.Status()))
	return &protocol.Exit{Signal: &name, Core: e.Code() == protocol.Dumped}
}

// NewMainUsage is what the kernel told when the main process was waited for.
func NewMainUsage(u *unix.Rusage) protocol.MainUsage {
	count := func(n int64) *uint64 { c := uint64(n); return &c }
	m := protocol.MainUsage{
		MinorFaults: count(u.Minflt), MajorFaults: count(u.Majflt),
		VoluntarySwitches: count(u.Nvcsw), InvoluntarySwitches: count(u.Nivcsw),
	}
	if u.Maxrss > 0 { // else see hidePeak
		m.MaxRSSBytes = count(u.Maxrss * 1024) // ru_maxrss is in KiB
	}
	return m
}

// usedTime is the processor time, in microseconds, of all processes that were waited for, by the
// loop or by those that it waited for: the kernel's sum of it (RUSAGE_CHILDREN) is of this
// process's own children alone, and not the foster's.
type usedTime struct{ user, system int64 }

func (t *usedTime) add(u *unix.Rusage) {
	t.user, t.system = t.user+u.Utime.Nano()/1e3, t.system+u.Stime.Nano()/1e3
}

func (t *usedTime) cpu() protocol.CPU {
	seconds := func(micro int64) *float64 { s := float64(micro) / 1e6; return &s }
	return protocol.CPU{UserS: seconds(t.user), SystemS: seconds(t.system), TotalS: seconds(t.user + t.system)}
}

// errorText is cli.OneLine, and "" for nil.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return cli.OneLine(err)
}
