// Package jobs finds the jobs that the supervisors on this machine hold, and acts on them:
//
//	cgroup.Find, the tree of cgroups ───────────────┐
//	/proc/locks ──> supervisors by descent ─────────┼──> Jobs: outer ones before those in them
//	/proc/PID/stat ──> table: owners, lineages ─────┘
//
// Nothing is kept between two readings: the tree, its extended attributes and the locks that
// the kernel lists are all there is.
package jobs

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A Job is one that was found. It belongs to one goroutine.
type Job struct {
	protocol.ListedJob
	Depth int // below how many others it is

	held  *cgroup.Found // its cgroup, open; nil: it is held by descent
	start uint64        // of the supervisor, if it is held by descent
}

// Find lists the jobs, outer ones before those in them. Those that keep wants can be acted on, and
// the caller closes them; nil: none is kept. While keep looks at a job, that is open, but
// its owner and the job around it are not known yet. The error is of a part that could not be
// read; the others are there.
func Find(keep func(*Job) bool) (list []*Job, err error) {
	t, err := readTable()
	if err != nil {
		return nil, err
	}
	f := &finder{table: t, keep: keep, supervisors: map[int]bool{}, inCgroups: map[string]*Job{}, lineages: map[int]*Job{}, placed: map[int]string{}}
	f.places, _ = cgroup.NewPlaces()
	err = cgroup.Find(f.inCgroup)
	if errors.Is(err, cgroup.ErrNoMount) {
		err = nil
	}
	for _, pid := range supervisors() {
		f.byDescent(pid)
	}
	for _, j := range f.jobs {
		f.setOwner(j)
	}
	return f.nested(), err
}

// A finder is what Find knows so far.
type finder struct {
	*table
	keep        func(*Job) bool
	jobs        []*Job
	supervisors map[int]bool
	inCgroups   map[string]*Job // by the directory
	lineages    map[int]*Job    // those held by descent, by the supervisor
	places      *cgroup.Places  // nil: there is no cgroup v2
	placed      map[int]string  // what places has said
}

// inCgroup adds a job in a cgroup.
func (f *finder) inCgroup(c *cgroup.Found) {
	j := &Job{}
	dir := c.Path()
	j.ID, j.Name, j.Containment, j.UID = c.Session+"/"+c.Dir, c.Title, protocol.ContainmentCgroup, c.UID
	j.Cgroup = &dir
	if !c.Since.IsZero() {
		j.Started = &protocol.Time{Time: c.Since}
	}
	j.setUsage(c)
	if c.Supervisor > 0 {
		j.Supervisor = &c.Supervisor
		f.supervisors[c.Supervisor] = true
		if c.Main > 0 {
			j.PID = &c.Main
		}
	}
	if j.held = c; f.keep == nil || !f.keep(j) {
		c.Close()
		j.held = nil
	}
	f.inCgroups[dir] = j
	f.jobs = append(f.jobs, j)
}

// setUsage reads the fields that change.
func (j *Job) setUsage(c *cgroup.Found) {
	if pids, err := c.Procs(); err == nil {
		n := len(pids)
		j.Processes = &n
	}
	u := c.Usage()
	j.Memory, j.MemoryMax, j.PidsMax = u.Memory, u.MemoryMax, u.TasksMax
	if u.CPU != nil {
		s := float64(*u.CPU) / 1e6
		j.CPUS = &s
	}
	j.State = state(c)
}

func state(c *cgroup.Found) protocol.ListedState {
	if !c.Held {
		return protocol.ListedOrphaned
	}
	if empty, err := c.Empty(); err == nil && empty {
		return protocol.ListedEmpty
	}
	if frozen, err := c.Frozen(); err == nil && frozen {
		return protocol.ListedFrozen
	}
	return protocol.ListedRunning
}

// byDescent adds the job of a supervisor that holds it without a cgroup.
func (f *finder) byDescent(supervisor int) {
	p, ok := f.all[supervisor]
	uid, err := userOf(supervisor)
	if !ok || err != nil {
		return
	}
	f.supervisors[supervisor] = true
	j := &Job{start: p.Start}
	pids := f.lineage(supervisor)
	n, started := len(pids), protocol.Time{Time: p.since()}
	j.State, j.Containment, j.UID = protocol.ListedRunning, protocol.ContainmentSubreaper, uid
	j.Started, j.Processes, j.Supervisor = &started, &n, &supervisor
	j.Name = nameOf(argvOf(supervisor))
	ticks := p.dead
	for _, child := range f.children[supervisor] {
		if f.isTwin(child) {
			ticks += f.all[child].dead
		}
	}
	for _, pid := range pids {
		ticks += f.all[pid].cpu
	}
	seconds := float64(ticks) / hertz
	j.CPUS = &seconds
	if n == 0 {
		j.State = protocol.ListedEmpty
	} else if first := f.all[pids[0]]; f.holds(supervisor, first.Parent) {
		j.PID = &first.PID
		j.Name = cmp.Or(j.Name, first.comm)
	}
	j.ID = "pid" + strconv.Itoa(supervisor) + "/" + fileName(j.Name)
	if f.keep != nil {
		f.keep(j)
	}
	f.jobs, f.lineages[supervisor] = append(f.jobs, j), j
}

// fileName leaves out of a name what is awkward to type.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' || !cli.IsPrintable(r) {
			return '_'
		}
		return r
	}, name)
}

func (f *finder) setOwner(j *Job) {
	if j.Supervisor == nil {
		return
	}
	pid := f.owner(*j.Supervisor, func(pid int) bool { return f.supervisors[pid] || f.isTwin(pid) || f.all[pid].comm == "supervise" })
	if p, ok := f.all[pid]; ok {
		j.Owner = &protocol.JobOwner{PID: pid, Comm: p.comm}
	}
}

// nested puts each job behind the one that it is in, and else in the order of their starts.
func (f *finder) nested() (sorted []*Job) {
	slices.SortStableFunc(f.jobs, func(a, b *Job) int {
		if a.Started == nil || b.Started == nil {
			return strings.Compare(a.ID, b.ID)
		}
		return a.Started.Compare(b.Started.Time)
	})
	inside := map[*Job][]*Job{}
	for _, j := range f.jobs {
		outer := f.outer(j)
		if outer != nil {
			j.Outer = &outer.ID
		}
		inside[outer] = append(inside[outer], j)
	}
	seen := map[*Job]bool{}
	var add func(list []*Job, depth int)
	add = func(list []*Job, depth int) {
		for _, j := range list {
			if seen[j] {
				continue
			}
			seen[j] = true
			j.Depth = depth
			sorted = append(sorted, j)
			add(inside[j], depth+1)
		}
	}
	add(inside[nil], 0)
	add(f.jobs, 0) // a supervisor that was moved into its own job: no job can hide so
	return sorted
}

// outer is the job that a job is in: the innermost of those that its cgroup, or that of its
// supervisor, is below, and of those that its supervisor descends from.
func (f *finder) outer(j *Job) *Job {
	var place string
	if j.Cgroup != nil {
		place = path.Dir(*j.Cgroup)
	}
	above := f.above(place)
	if j.Supervisor == nil {
		return above
	}
	if above == nil {
		above = f.above(f.placeOf(*j.Supervisor))
	}
	for pid, steps := f.all[*j.Supervisor].Parent, 0; pid > 0 && steps < len(f.all); pid, steps = f.all[pid].Parent, steps+1 {
		by := f.lineages[pid]
		if by == nil {
			continue
		}
		if above == nil || isBelow(*above.Cgroup, f.placeOf(pid)) {
			return by
		}
		break
	}
	return above
}

// above is the job whose cgroup is the lowest on the way up from a directory.
func (f *finder) above(dir string) *Job {
	for ; len(dir) > 1; dir = path.Dir(dir) {
		if j := f.inCgroups[dir]; j != nil {
			return j
		}
	}
	return nil
}

// placeOf is the cgroup of a process; "": that is not known.
func (f *finder) placeOf(pid int) string {
	place, ok := f.placed[pid]
	if !ok && f.places != nil {
		place = f.places.Of(pid)
		f.placed[pid] = place
	}
	return place
}

func isBelow(dir, place string) bool { return place == dir || strings.HasPrefix(place, dir+"/") }

// Close gives back what keeps the job's cgroup open.
func (j *Job) Close() {
	if j.held != nil {
		j.held.Close()
	}
}

// CloseAll closes all of a list.
func CloseAll(list []*Job) {
	for _, j := range list {
		j.Close()
	}
}
