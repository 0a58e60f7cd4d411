package jobs

import (
	"slices"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Watch reads the jobs again and again. To find all of them takes the whole tree and every
// process, so it finds them no more often than once a second, and so seldom that this takes
// half a hundredth of a processor. In between it reads of every job the processor time, and of
// those that are looked at the rest. It belongs to one goroutine.
type Watch struct {
	// Wanted says which jobs are watched, nil: all. It is asked once for each.
	Wanted func(*Job) bool

	jobs []*Job
	next time.Time // of the next search
}

// searchShare is how much longer it is between two searches than one takes.
const searchShare = 200

// Read reads the jobs anew, outer ones before those in them. Those that looked wants are read
// as a whole; nil: all are. The Watch keeps owning them, until they are gone or it is closed.
func (w *Watch) Read(looked func(*Job) bool) (list []*Job, err error) {
	if began := time.Now(); !began.Before(w.next) {
		err = w.find()
		w.next = began.Add(max(time.Second, searchShare*time.Since(began))).Add(-100 * time.Millisecond) // a caller's ticks are not exact
		return w.jobs, err
	}
	w.jobs = slices.DeleteFunc(w.jobs, func(j *Job) bool {
		gone := j.held != nil && !j.read(looked == nil || looked(j))
		if gone {
			j.Close()
		}
		return gone
	})
	return w.jobs, nil
}

// find searches for all jobs. Of one that was known the open directory is kept, with what is
// open in it.
func (w *Watch) find() error {
	known := map[string]*Job{}
	for _, j := range w.jobs {
		known[j.ID] = j
	}
	list, err := Find(func(j *Job) bool { return known[j.ID] == nil && (w.Wanted == nil || w.Wanted(j)) })
	if list == nil && err != nil {
		return err
	}
	found := list[:0]
	for _, j := range list {
		switch old := known[j.ID]; {
		case old != nil:
			old.ListedJob, old.Depth = j.ListedJob, j.Depth
			if old.held != nil {
				old.held.Held = j.State != protocol.ListedOrphaned
			}
			delete(known, j.ID)
			found = append(found, old)
		case w.Wanted == nil || w.Wanted(j):
			found = append(found, j)
		}
	}
	for _, j := range known {
		j.Close()
	}
	w.jobs = found
	return err
}

// read reads a job in a cgroup anew; false: it is gone.
func (j *Job) read(whole bool) bool {
	us, err := j.held.CPUTime()
	if err != nil {
		return false
	}
	seconds := float64(us) / 1e6
	j.CPUS = &seconds
	if whole {
		j.setUsage(j.held)
	}
	return true
}

// Close closes all jobs.
func (w *Watch) Close() {
	CloseAll(w.jobs)
	w.jobs = nil
}
