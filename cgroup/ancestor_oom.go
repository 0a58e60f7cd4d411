package cgroup

import (
	"errors"
	"io/fs"
	"path"
	"time"
)

// An ancestorOOM holds the cgroups above the jobs of a session, from the session's up to
// the top of the mount, with the OOM counters of the last reading.
type ancestorOOM struct {
	dirs []*dir // nil: not opened yet
	top  bool   // the last is the root of the whole hierarchy
	// metered says that one has the memory controller, of those that may limit: the root of
	// the hierarchy has no counters.
	metered bool

	counts []oomCounts
	memory bool // with those of the memory controller
	at     time.Time
}

// aboveFresh is the age up to which read counters are used again: jobs that start one
// after the other share one reading.
const aboveFresh = 10 * time.Millisecond

// open opens the directories, as far as the permissions allow.
func (a *ancestorOOM) open(session string) {
	for p := session; p != "/"; p = path.Dir(p) {
		d, err := openDir(p)
		if err != nil { // above the mount
			break
		}
		a.dirs = append(a.dirs, d)
		a.metered = a.metered || d.has("memory.events")
		a.top = !d.has("cgroup.events") // only the root of the hierarchy lacks the file
	}
}

func (a *ancestorOOM) close() {
	closeAll(a.dirs)
	a.dirs = nil
}

// recent returns the counters, not older than aboveFresh.
func (a *ancestorOOM) recent(memory bool) ([]oomCounts, error) {
	if now := time.Now(); now.Sub(a.at) > aboveFresh || a.memory != memory {
		counts, err := a.read(memory)
		if err != nil {
			return nil, err
		}
		a.counts, a.memory, a.at = counts, memory, now
	}
	return a.counts, nil
}

// read reads the counters, those of memory only if asked to. A file that this process has
// no permission for counts as zero.
func (a *ancestorOOM) read(memory bool) ([]oomCounts, error) {
	counts := make([]oomCounts, 0, len(a.dirs))
	buf := takeBuffer()
	defer giveBuffer(buf)
	for _, d := range a.dirs {
		r := reader{d: d, buf: buf}
		c := oomCounts{path: d.path}
		if memory {
			c = r.kernelCounts()
		}
		c.oomd = d.oomdKills()
		counts = append(counts, c)
		if r.err != nil && !errors.Is(r.err, fs.ErrPermission) {
			return nil, r.err
		}
	}
	return counts, nil
}
