package subreaper

import "golang.org/x/sys/unix"

// Marks are those of a session's jobs in cgroups. Each main process is born with one, and
// what it forks inherits it, so that a process which has left the cgroup of its job is known
// all the same: to the server, which asks whose it is, and to the guardian.
//
// Such a mark is the soft limit RLIMIT_LOCKS, which the kernel has enforced on nothing
// since Linux 2.4.25; where that is taken, by a supervise around this one or by a limit
// that was really meant, RLIMIT_RTTIME; and where that is taken, too, there are no marks,
// and a process that has left ends with the last job or with the supervise around.
//
// The marks of a session have the upper bits in common; the lower 24 number its jobs.
type Marks struct {
	session  Mark
	resource int
	own      unix.Rlimit // of this process
}

// sessionBit tells these marks from those of NewMark, jobBits are the number of the job.
const (
	sessionBit = 1 << 61
	randomBits = 1<<37 - 1
	jobBits    = 1<<24 - 1
)

// NewMarks draws the marks of a session; nil if there can be none.
func NewMarks() *Marks {
	m := &Marks{session: markBit | sessionBit | NewMark()&randomBits<<24}
	for _, m.resource = range [...]int{unix.RLIMIT_LOCKS, unix.RLIMIT_RTTIME} {
		err := unix.Prlimit(0, m.resource, nil, &m.own)
		if err == nil && m.own.Cur == unix.RLIM_INFINITY && m.own.Max == unix.RLIM_INFINITY {
			return m
		}
	}
	return nil
}

// Session is the mark that stands for those of all jobs of the session; 0: there are none.
func (m *Marks) Session() Mark {
	if m == nil {
		return 0
	}
	return m.session
}

// Of is the mark of a job; 0: there are none.
func (m *Marks) Of(job int) Mark {
	if m == nil {
		return 0
	}
	return m.session | Mark(job%jobBits+1) // 0 is the session's
}

// Job is the inverse of Of: the number of the job, at most latest; 0: there is none.
func (m *Marks) Job(mark Mark, latest int) int {
	if m == nil || mark&^jobBits != m.session || mark == m.session {
		return 0
	}
	n := int(mark&jobBits) - 1
	return latest - ((latest-n)%jobBits+jobBits)%jobBits
}

// isSession says whether a mark stands for all jobs of a session.
func (m Mark) isSession() bool { return m&sessionBit != 0 && m&jobBits == 0 }

// Wear marks this process, for what it forks until off is called. Nothing else may be
// forked meanwhile.
func (m *Marks) Wear(mark Mark) (off func()) {
	if m == nil {
		return func() {}
	}
	marked := m.own
	marked.Cur = uint64(mark)
	unix.Prlimit(0, m.resource, &marked, nil)
	return func() { unix.Prlimit(0, m.resource, &m.own, nil) }
}

// TakeOff takes the mark off other processes, which go on without us.
func (m *Marks) TakeOff(pids []int) {
	if m != nil {
		for _, pid := range pids {
			unix.Prlimit(pid, m.resource, &m.own, nil) // another user's, and gone: nothing is lost
		}
	}
}

// PutOn has other processes bear a mark again.
func (m *Marks) PutOn(mark Mark, pids []int) {
	if m != nil {
		marked := m.own
		marked.Cur = uint64(mark)
		for _, pid := range pids {
			unix.Prlimit(pid, m.resource, &marked, nil)
		}
	}
}
