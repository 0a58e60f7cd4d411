package containment

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
)

// A stray is a process that has moved out of the cgroup of its job, or was moved, as
// `podman run` has systemd do it. Of one job all descendants are the job's, so that the
// loop finds it (supervisor.Supervisor, Strays). Of many jobs it is known by its mark: it
// counts as one of the processes of the job, which is not empty before it has ended.
//
// It is looked for when the cgroup is empty. Then all its ancestors within the job have
// ended, or are strays as well, and so the topmost stray is an orphan.

// SeekStrays has strays found, for a place of many jobs whose main processes are forked by
// another thread than the first: see subreaper.Orphans. Call it after MarkJobs.
func (p *Place) SeekStrays() {
	if p.marks != nil {
		p.orphans = &subreaper.Orphans{}
	}
}

// Marked returns the number, at most latest, of the job whose mark an orphan bears that is
// about to be reaped; 0: none's.
func (p *Place) Marked(pid, latest int) int {
	if p.orphans == nil {
		return 0
	}
	return p.marks.Job(p.orphans.Mark(pid), latest)
}

// ForgetOrphan is to be called when an orphan is about to be reaped.
func (p *Place) ForgetOrphan(pid int) {
	if p.orphans != nil {
		p.orphans.Forget(pid)
	}
}

// ForgetOrphans is the same for all that were, by Tree.
func (p *Place) ForgetOrphans() {
	if p.orphans != nil {
		p.orphans.ForgetAll()
	}
}

// strays is the tree of the job's strays; nil: there are none but those among these, which
// are in the cgroup.
func (j *Job) strays(inside []int) *subreaper.Tree {
	if j.place.orphans == nil || len(j.place.orphans.Of(j.Mark(), inside)) == 0 {
		return nil
	}
	return subreaper.Below(func() []int { return j.place.orphans.Of(j.Mark(), inside) })
}

// Strayed says of which of some jobs, whose cgroups are empty, strays are alive. One look
// at the orphans serves for all of them.
func (p *Place) Strayed(jobs []*Job) []bool {
	found := make([]bool, len(jobs))
	if p.orphans == nil {
		return found
	}
	by := p.orphans.ByMark()
	for i, j := range jobs {
		roots := by[j.Mark()]
		j.astray, j.exiting = len(roots) > 0, false
		if j.astray {
			found[i] = j.pursue(subreaper.Below(func() []int { return roots }))
		}
	}
	return found
}

// pursue says whether strays are alive. Those of a job that is being killed are killed, as
// they come to light.
func (j *Job) pursue(t *subreaper.Tree) bool {
	live, exiting := t.Living()
	j.exiting = len(live) == 0 && len(exiting) > 0
	if len(live) > 0 && (j.killing || j.place.ending) {
		t.Strike()
	}
	return len(live) > 0
}

// Empty implements supervisor.Containment. Strays count when Strayed has seen any.
func (j *Job) Empty() (bool, error) {
	empty, err := j.Job.Empty()
	if err == nil && empty && j.astray {
		t := j.strays(nil)
		j.astray = t != nil
		empty = t == nil || !j.pursue(t)
	}
	return empty, err
}

// Exiting says that Strayed was false, yet that a process which is on its way to being dead
// may leave a stray: its children are orphans only then.
func (j *Job) Exiting() bool { return j.exiting }

// Kill implements supervisor.Containment. What is in the cgroup comes first, and in the
// second call the strays in any case.
func (j *Job) Kill() error {
	err := j.Job.Kill()
	if j.killing {
		inside, _ := j.Job.Procs()
		if t := j.strays(inside); t != nil {
			t.Strike()
		}
	}
	j.killing = true
	return err
}

// Signal implements supervisor.Containment.
func (j *Job) Signal(sig unix.Signal) error {
	return errors.Join(j.Job.Signal(sig), j.SignalStrays(sig))
}

// SignalStrays is Signal for the strays alone.
func (j *Job) SignalStrays(sig unix.Signal) error {
	inside, _ := j.Job.Procs()
	if t := j.strays(inside); t != nil {
		return t.Signal(sig)
	}
	return nil
}

// Procs implements supervisor.Lister.
func (j *Job) Procs() ([]int, error) {
	pids, err := j.Job.Procs()
	if t := j.strays(pids); t != nil {
		live, _ := t.Living()
		pids = append(pids, live...)
	}
	return pids, err
}

// Unmark takes the mark off all processes of the job, which go on without us.
func (j *Job) Unmark() {
	pids, _ := j.Procs()
	j.place.marks.TakeOff(pids)
}

// Remark undoes that for those in the cgroup.
func (j *Job) Remark() {
	pids, _ := j.Job.Procs()
	j.place.marks.PutOn(j.Mark(), pids)
}
