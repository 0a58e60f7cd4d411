package cgroup

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// An OOMCause names the limit, or the shortage, for which processes of a job were killed.
type OOMCause string

const (
	OOMUnknown  OOMCause = ""             // whether one was killed is not known
	OOMNone     OOMCause = "none"         // no process was killed for want of memory
	OOMOwnLimit OOMCause = "own limit"    // the job's, or one that the job set below itself
	OOMAncestor OOMCause = "ancestor"     // that of a cgroup above
	OOMMachine  OOMCause = "machine"      // the machine's
	OOMOutside  OOMCause = "outside"      // of a cgroup above those that we see, or the machine's
	OOMDaemon   OOMCause = "systemd-oomd" // that daemon's judgement, by memory pressure or lack of swap
)

// OOM is what is known of OOM kills in a job.
type OOM struct {
	Cause OOMCause
	Path  string  // the cgroup whose limit was hit, or that the daemon killed; "" if there is none, or it is unknown
	Kills *uint64 // how many processes of the job the kernel killed; nil: not known
	// Unsure says that the job has no counter of its own: in a cgroup above it, which holds
	// others as well, a process was killed.
	Unsure bool
}

// String is the cause in words: "own limit", "ancestor /sys/fs/cgroup/user.slice".
func (o OOM) String() string {
	if o.Path != "" && o.Cause != OOMOwnLimit {
		return string(o.Cause) + " " + o.Path
	}
	return string(o.Cause)
}

// An OOMWatch holds the counters of the cgroups above a job from before its start. The job's
// own cgroup is new, so its counters start at zero.
type OOMWatch struct {
	job     *Job // nil: it has no cgroup
	above   *ancestorOOM
	before  oomReading
	counted bool // the job's own cgroup counts
}

// oomCounts are counters of one cgroup.
type oomCounts struct {
	path    string
	counted bool   // those of memory could be read
	kills   uint64 // memory.events, oom_kill
	groups  uint64 // memory.events, oom_group_kill: how many of the kills may have been of a group
	tree    uint64 // memory.events, oom
	local   uint64 // memory.events.local, oom: the limit that was hit is this cgroup's
	oomd    uint64 // kills by the daemon
	single  bool   // there never was more than one thread (pids.peak)
}

// WatchOOM reads the counters. Call it before the job's start. Where no cgroup counts, the
// machine's counter tells of most jobs that nothing was killed.
func (j *Job) WatchOOM() (*OOMWatch, error) {
	above := &j.s.above
	if above.dirs == nil {
		above.open(j.s.path, j.s.root.localEvents)
	}
	w := &OOMWatch{job: j, above: above}
	w.counted = !j.s.root.localEvents && !j.s.lacks.has("memory.events") && j.node.has("memory.events")
	var err error
	w.before, err = above.since(time.Now().Add(-aboveFresh), w.ofMemory())
	return w, err
}

// ofMemory says whether the counters above are those of memory, and not the machine's.
func (w *OOMWatch) ofMemory() bool { return w.counted || w.above.metered }

func (w *OOMWatch) readAbove() (oomReading, error) { return w.above.read(w.ofMemory()) }

// WatchOOMAround is WatchOOM for a job that stays in the cgroup of this process.
func WatchOOMAround() (*OOMWatch, error) {
	w := &OOMWatch{above: &ancestorOOM{}}
	if here, err := locate(); err == nil {
		w.above.open(here.path, here.mount.localEvents)
	}
	var err error
	w.before, err = w.readAbove()
	return w, err
}

// Close is for a watch by WatchOOMAround: it gives its descriptors back.
func (w *OOMWatch) Close() { w.above.close() }

// Kills returns how often the kernel has killed one of the job by now: see Account.OOMKills.
func (w *OOMWatch) Kills() uint64 {
	own, _ := w.job.oomCounts(w.counted, false)
	return own.kills
}

// Cause compares the counters with their present values. The job's directory must still
// exist. Of several causes it returns the nearest. Spared says that the job ended without a
// SIGKILL: the daemon, which kills all of a cgroup, was then not the cause.
func (w *OOMWatch) Cause(spared bool) (OOM, error) { return w.cause(spared, w.aboveAtEnd) }

// aboveAtEnd reads the counters above, unless they were read since the job was seen to be empty.
func (w *OOMWatch) aboveAtEnd() (oomReading, error) {
	end := time.Now()
	if w.job != nil && !w.job.emptied.IsZero() {
		end = w.job.emptied
	}
	return w.above.since(end, w.ofMemory())
}

// cause is Cause with a reading of the counters above that was begun after the job's end.
func (w *OOMWatch) cause(spared bool, readAbove func() (oomReading, error)) (OOM, error) {
	own, err := w.own(spared)
	switch {
	case err != nil:
		return OOM{}, err
	case own.oomd > 0:
		return OOM{Cause: OOMDaemon, Path: own.path}, nil
	case own.kills > 0 && own.local > 0:
		return OOM{Cause: OOMOwnLimit, Path: own.path, Kills: own.processes()}, nil
	case own.kills > 0 && own.tree > 0:
		return OOM{Cause: OOMOwnLimit, Kills: own.processes()}, nil
	case own.counted && own.kills == 0 && spared:
		return OOM{Cause: OOMNone}, nil
	}
	now, err := readAbove()
	return w.causeAbove(own, now, spared), err
}

// own reads the counters of the job's own cgroup.
func (w *OOMWatch) own(spared bool) (oomCounts, error) {
	if w.job == nil {
		return oomCounts{}, nil
	}
	return w.job.oomCounts(w.counted, !spared)
}

// causeAbove finds the cause in the cgroups above the job, of which the nearest that counts
// stands in for a job that has no counter.
func (w *OOMWatch) causeAbove(own oomCounts, now oomReading, spared bool) OOM {
	o := OOM{Kills: own.processes()}
	for i := range min(len(now.cgroups), len(w.before.cgroups)) {
		c := now.cgroups[i].since(w.before.cgroups[i])
		if c.counted && !own.counted {
			own, o = c, OOM{Unsure: c.kills > 0}
		}
		switch {
		case c.oomd > 0 && !spared:
			return OOM{Cause: OOMDaemon, Path: c.path, Unsure: o.Unsure}
		case own.kills > 0 && c.local > 0:
			o.Cause, o.Path = OOMAncestor, c.path
			return o
		}
	}
	switch {
	case own.kills > 0:
		o.Cause = w.unseen()
		return o
	case own.counted || now.killedNobody(w.before):
		return OOM{Cause: OOMNone}
	}
	return OOM{}
}

// unseen is the cause when no cgroup's limit was hit.
func (w *OOMWatch) unseen() OOMCause {
	if w.above.top {
		return OOMMachine
	}
	return OOMOutside
}

// since is the difference of two readings of a cgroup.
func (c oomCounts) since(before oomCounts) oomCounts {
	return oomCounts{
		path: c.path, counted: c.counted && before.counted, kills: c.kills - before.kills, groups: c.groups - before.groups,
		tree: c.tree - before.tree, local: c.local - before.local, oomd: c.oomd - before.oomd,
	}
}

// processes is how many processes the kernel has killed; nil: not known. Two that share their
// memory, as after vfork(2), are one to it.
//
// Of a single kill oom_kill is right. Where memory.oom.group is set no counter is. The kernel
// (oom_kill_process in mm/oom_kill.c) has __oom_kill_process count and kill the victim, raises
// oom_group_kill, and then has mem_cgroup_scan_tasks call oom_kill_memcg_member, and so
// __oom_kill_process, for every process of the group, the victim among them. It counts again
// (MEMCG_OOM_KILL) whatever find_lock_task_mm still finds memory of: the victim always if it
// is the one that allocates, and else unless it has ended meanwhile. A process of several
// threads may count once more: css_task_iter_next comes to it twice if its first thread ends
// during the scan. Linux 6.1.192, 6.12.95 and 6.18.15 are the same in this. Measured on each
// with 1, 2 and 10 processes, in 10 to 20 rounds: where one that allocated was the victim,
// oom_kill was always 2, 3 and 11; where a limit was lowered, or another than the victim
// allocated, it was one more or right, by chance; two processes of five threads each counted
// 2, 3 or, not seen on 6.18, 4. So neither oom_kill nor oom_kill - oom_group_kill is the
// number.
func (c oomCounts) processes() *uint64 {
	switch {
	case c.groups == 0 || c.kills == 1:
		return &c.kills
	case c.single:
		one := uint64(1)
		return &one
	}
	return nil
}

// oomCounts reads the counters of the job node: the kernel's if it counts there, the daemon's
// if asked to, from the leaf as well, which the daemon may have chosen.
func (j *Job) oomCounts(counted, daemon bool) (c oomCounts, err error) {
	r := reader{d: j.node, buf: takeBuffer(), lacks: &j.s.lacks}
	defer func() { giveBuffer(r.buf) }()
	c.path = j.node.path
	if counted {
		c = r.kernelCounts()
	}
	if c.groups > 0 {
		peak := parseNumber(r.read("pids.peak"))
		c.single = peak != nil && *peak == 1
	}
	if !daemon {
		return c, r.err
	}
	c.oomd = j.node.oomdKills()
	leaf, err := j.leaf()
	if err != nil {
		return c, err
	}
	c.oomd += leaf.oomdKills()
	return c, r.err
}

// kernelCounts reads the kernel's counters; they are zero without the memory controller.
func (r *reader) kernelCounts() oomCounts {
	c := oomCounts{path: r.d.path}
	b := r.read("memory.events")
	if b == nil {
		return c
	}
	c.kills, c.counted = lookup(b, "oom_kill")
	c.tree, _ = lookup(b, "oom")
	if groups, known := lookup(b, "oom_group_kill"); known { // Linux 5.17
		c.groups = groups
	} else {
		c.groups = c.kills
	}
	c.local, _ = lookup(r.read("memory.events.local"), "oom")
	return c
}

// oomdAttrs are the attributes in which systemd-oomd counts its kills of a cgroup,
// before (ooms) and after (kill, by processes) the deed (oomd_cgroup_kill in
// src/oom/oomd-util.c, systemd 247); so does Facebook's oomd.
var oomdAttrs = []string{"user.oomd_ooms", "user.oomd_kill"}

func (d *dir) oomdKills() uint64 {
	var buf [24]byte
	var sum uint64
	for _, attr := range oomdAttrs {
		if n, err := unix.Fgetxattr(d.fd, attr, buf[:]); err == nil {
			v, _ := strconv.ParseUint(string(buf[:n]), 10, 64)
			sum += v
		}
	}
	return sum
}
