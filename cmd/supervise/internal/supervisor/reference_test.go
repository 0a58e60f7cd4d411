package supervisor

import (
	"slices"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A reference is what is known of a job, without the loop.
type reference struct {
	job      *Job
	held     *enclosure
	exit     *change          // as it was told
	cause    protocol.Cause   // that is decided
	either   bool             // it could be the timeout as well
	late     []protocol.Cause // that count if processes were waited for at that moment
	deadline time.Time        // zero: none
}

// because decides the cause, if nothing has.
func (r *reference) because(cause protocol.Cause) {
	switch {
	case r.cause != "":
	case r.exit == nil:
		r.cause = cause
	case r.job.Leftovers == protocol.LeftoversWait:
		r.late = append(r.late, cause)
	}
}

// noteTimeout decides the cause if the deadline has passed.
func (r *reference) noteTimeout(now time.Time) {
	if hasPassed(r.deadline, now) {
		r.because(protocol.CauseTimeout)
		r.deadline = time.Time{}
	}
}

// check looks at the jobs when the loop goes to sleep.
func (m *model) check() {
	now := time.Now()
	if m.stalled {
		m.stall = now
	}
	for pid, ref := range m.jobs {
		j := ref.job
		ref.noteTimeout(now)
		if !j.until.IsZero() && !j.until.After(now) {
			m.broken("job %d: a deadline has passed", pid-firstPID)
		}
		if late := now.Sub(latest(j.killed.Add(killLimit), m.stall)); j.state == Killing && late > killEvery && !m.stalled {
			m.broken("job %d is being killed since %v", pid-firstPID, now.Sub(j.killed))
		}
		if j.state == Ended {
			m.broken("job %d has ended without a word", pid-firstPID)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hear checks what is told.
func (m *model) hear(e Event) {
	switch e.Kind {
	case StatusChanged:
		m.idle = 0
		got := change{e.Status.PID(), e.Status.Code(), e.Status.Status()}
		if len(m.handed) == 0 || m.handed[0] != got {
			m.broken("told %v, want the first of %v", got, m.handed)
			return
		}
		m.handed = m.handed[1:]
		ref := m.jobs[got.pid]
		m.note("told %d %v %d", got.pid-firstPID, got.code, got.status)
		if ref != nil && got.code.Ended() {
			if ref.exit != nil {
				m.broken("%d has ended twice", got.pid-firstPID)
			}
			ref.either = ref.cause == "" && !ref.deadline.IsZero() && !ref.deadline.After(time.Now())
			ref.exit = &got
		}
		m.stalled = m.stalled || !m.calm && m.chance(2)
	case JobEnded:
		m.ends, m.idle = m.ends+1, 0
		m.ended(e)
	}
}

// ended checks a record, and that nothing of the job is left.
func (m *model) ended(e Event) {
	pid := e.Job.main
	ref := m.jobs[pid]
	if ref == nil {
		m.broken("job %d has ended twice, or never was", pid-firstPID)
		return
	}
	delete(m.jobs, pid)
	r := e.Record
	stuck := len(e.Job.stuck) > 0
	m.stuck = m.stuck || stuck
	m.note("ended %d %s %s", pid-firstPID, r.Cause, failure(r))
	want := ref.cause
	if ref.exit != nil && want == "" {
		want = protocol.CauseSignaled
		if ref.exit.code == protocol.Exited {
			want = protocol.CauseExited
		}
	}
	ref.noteTimeout(time.Now())
	late := ref.cause == "" && slices.Contains(ref.late, r.Cause)
	if r.Cause != want && !late && !(ref.either && r.Cause == protocol.CauseTimeout) {
		m.broken("job %d: cause %s, want %s", pid-firstPID, r.Cause, want)
	}
	switch {
	case ref.exit == nil && !stuck:
		m.broken("job %d: the record came before the end of the main process", pid-firstPID)
	case ref.exit != nil && (r.Exit == nil || status(r) != ref.exit.status):
		m.broken("job %d: exit %+v, want %v", pid-firstPID, r.Exit, *ref.exit)
	}
	if n := ref.held.count(); n > 0 && !stuck {
		m.broken("job %d has ended, and %d processes live on", pid-firstPID, n)
	}
	for _, c := range m.changes {
		if c.code.Ended() && m.find(c.pid).in == ref.held && !m.stalled && !stuck {
			m.broken("job %d has ended before the end of its process %d was told", pid-firstPID, c.pid-firstPID)
		}
	}
	if ref.held.closed != 1 {
		m.broken("job %d was closed %d times", pid-firstPID, ref.held.closed)
	}
	if !ref.held.failed && !stuck && failure(r) != "" {
		m.broken("job %d: error %q, after a failure: %t", pid-firstPID, failure(r), ref.held.failed)
	}
}
