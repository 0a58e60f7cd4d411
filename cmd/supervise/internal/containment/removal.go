package containment

import (
	"errors"
	"time"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A job may leave thousands of cgroups, and the kernel may hold one busy for a while after the
// last process. Where many jobs run, these are removed bit by bit, and the loop goes on
// meanwhile. The jobs have ended by then.
const (
	removeStep  = 200 // directories in one go: some 5 ms
	removeEvery = 2 * time.Millisecond
	removeTries = 500 // in a row that remove nothing
)

// removing returns a function that has the loop remove what a job has left.
func (p *Place) removing(s *supervisor.Supervisor) func(*cgroup.Removal) {
	return func(r *cgroup.Removal) {
		p.removals = append(p.removals, r)
		if len(p.removals) > 1 {
			return // the timer runs
		}
		tries := 0
		repeat(s, removeEvery, func() (more bool) { return p.removeSome(&tries) }) // without it, the end of the session removes it
	}
}

// removeSome goes on with the first removal, and says whether there is more to do. One that
// does not get on is left to the end of the session.
func (p *Place) removeSome(tries *int) (more bool) {
	if len(p.removals) == 0 {
		return false
	}
	first := p.removals[0]
	done, err := first.Step(removeStep)
	if err == nil {
		*tries = 0
	} else {
		*tries++
	}
	if done || *tries > removeTries {
		*tries = 0
		first.Close()
		p.removals = p.removals[1:]
	}
	return len(p.removals) > 0
}

// Capture implements supervisor.Capturer, for the one job, and for the sweep after many.
func (p *Place) Capture(pid int) (err error) {
	switch {
	case p.job != nil:
		return p.job.Capture(pid)
	case p.session == nil:
		return errors.ErrUnsupported
	case p.captured == nil:
		if p.captured, err = p.session.NewJob("captured"); err != nil {
			return err
		}
	}
	return p.captured.Capture(pid)
}
