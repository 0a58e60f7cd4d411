package cgroup

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// An OOMCause names the limit, or the shortage, for which processes of a job were killed.
type OOMCause string

const (
	OOMNone     OOMCause = ""             // no process was killed, or no cgroup has the memory controller, so that the cause is unknown
	OOMOwnLimit OOMCause = "own limit"    // the job's, or one that the job set below itself
	OOMAncestor OOMCause = "ancestor"     // that of a cgroup above
	OOMMachine  OOMCause = "machine"      // the machine's
	OOMOutside  OOMCause = "outside"      // of a cgroup above those that we see, or the machine's
	OOMDaemon   OOMCause = "systemd-oomd" // that daemon's judgement, by memory pressure or lack of swap
)

// OOM is the cause of the OOM kills in a job, and their number.
type OOM struct {
	Cause OOMCause
	Path  string // the cgroup whose limit was hit, or that the daemon killed; "" if there is none, or it is unknown
	Kills uint64 // how often the kernel killed one of the job (memory.events, oom_kill, and see there)
	// Unsure says that the job has no counter of its own: in a cgroup above it a process was
	// killed, which may be another, and Kills is not known.
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
	job    *Job
	above  []oomCounts
	unsure bool // the job has no counters, but a cgroup above it does
}

// oomCounts are counters of one cgroup.
type oomCounts struct {
	path  string
	kills uint64 // memory.events, oom_kill
	tree  uint64 // memory.events, oom
	local uint64 // memory.events.local, oom: the limit that was hit is this cgroup's
	oomd  uint64 // kills by the daemon
}

// WatchOOM reads the counters. Call it before the job's start. Where no cgroup has the memory
// controller it reads little, and Cause can find no other cause than systemd-oomd.
func (j *Job) WatchOOM() (*OOMWatch, error) {
	if j.s.above.dirs == nil {
		j.s.above.open(j.s.path)
	}
	own := !j.s.lacks.has("memory.events") && j.node.has("memory.events")
	above, err := j.s.above.recent(own || j.s.above.metered)
	return &OOMWatch{job: j, above: above, unsure: !own && j.s.above.metered}, err
}

// Kills returns how often the kernel has killed one of the job by now; 0 without the memory
// controller.
func (w *OOMWatch) Kills() uint64 {
	own, _ := w.job.oomCounts(false)
	return own.kills
}

// Cause compares the counters with their present values. The job's directory must still
// exist. Of several causes it returns the nearest. Spared says that the job ended without a
// SIGKILL: the daemon, which kills all of a cgroup, was then not the cause.
func (w *OOMWatch) Cause(spared bool) (OOM, error) {
	own, err := w.job.oomCounts(!spared)
	kills := own.kills
	switch {
	case err != nil:
		return OOM{}, err
	case own.oomd > 0:
		return OOM{Cause: OOMDaemon, Path: own.path, Kills: kills, Unsure: w.unsure}, nil
	case kills > 0 && own.local > 0:
		return OOM{Cause: OOMOwnLimit, Path: own.path, Kills: kills}, nil
	case kills > 0 && own.tree > 0:
		return OOM{Cause: OOMOwnLimit, Kills: kills}, nil
	case spared && kills == 0 && !w.unsure:
		return OOM{}, nil
	}
	above, err := w.job.s.above.read(kills > 0 || w.unsure)
	killed := kills > 0
	for i := range min(len(above), len(w.above)) {
		now, before := above[i], w.above[i]
		unsure := w.unsure && now.kills > before.kills
		killed = killed || unsure
		switch {
		case now.oomd > before.oomd:
			return OOM{Cause: OOMDaemon, Path: now.path, Kills: kills, Unsure: w.unsure}, err
		case killed && now.local > before.local:
			return OOM{Cause: OOMAncestor, Path: now.path, Kills: kills, Unsure: w.unsure}, err
		}
	}
	return OOM{Cause: w.unseen(killed), Kills: kills, Unsure: killed && w.unsure}, err
}

// unseen is the cause when no cgroup's limit was hit.
func (w *OOMWatch) unseen(killed bool) OOMCause {
	switch {
	case !killed:
		return OOMNone
	case w.job.s.above.top:
		return OOMMachine
	}
	return OOMOutside
}

// oomCounts reads the counters of the job node. It reads the daemon's only if asked to, from
// the leaf as well, which the daemon may have chosen.
func (j *Job) oomCounts(daemon bool) (oomCounts, error) {
	r := reader{d: j.node, buf: takeBuffer(), lacks: &j.s.lacks}
	defer func() { giveBuffer(r.buf) }()
	c := r.kernelCounts()
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
	c.kills, _ = lookup(b, "oom_kill")
	c.tree, _ = lookup(b, "oom")
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
