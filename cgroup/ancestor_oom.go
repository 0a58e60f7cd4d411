package cgroup

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// An ancestorOOM holds the cgroups above the jobs of a session, from the session's up to
// the top of the mount, with the OOM counters of the last reading.
type ancestorOOM struct {
	dirs []*dir // nil: not opened yet
	top  bool   // the last is the root of the whole hierarchy
	// metered says that one has the memory controller, of those that may limit: the root of
	// the hierarchy has no counters.
	metered bool

	last   oomReading
	memory bool // with the counters of the memory controller
	at     time.Time
}

// An oomReading is one reading of all counters.
type oomReading struct {
	cgroups []oomCounts
	machine *uint64 // OOM kills of the whole machine, read where no cgroup counts; nil: not known
}

// killedNobody says whether the machine has killed no process since another reading.
func (r oomReading) killedNobody(before oomReading) bool {
	return r.machine != nil && before.machine != nil && *r.machine == *before.machine
}

// aboveFresh is the age up to which a job that starts takes counters that were read already.
const aboveFresh = 10 * time.Millisecond

// open opens the directories from one up, as far as the permissions allow. Where events are
// local (the mount option memory_localevents) a cgroup does not count for those below it.
func (a *ancestorOOM) open(lowest string, localEvents bool) {
	for p := lowest; p != "/"; p = path.Dir(p) {
		d, err := openDir(p)
		if err != nil { // above the mount
			break
		}
		a.dirs = append(a.dirs, d)
		a.metered = a.metered || !localEvents && d.has("memory.events")
		a.top = !d.has("cgroup.events") // only the root of the hierarchy lacks the file
	}
}

func (a *ancestorOOM) close() {
	closeAll(a.dirs)
	a.dirs = nil
}

// since returns the counters of after a moment: jobs that start, or end, one after the other
// share one reading.
func (a *ancestorOOM) since(moment time.Time, memory bool) (oomReading, error) {
	if !a.at.After(moment) || a.memory != memory {
		now := time.Now()
		last, err := a.read(memory)
		if err != nil {
			return oomReading{}, err
		}
		a.last, a.memory, a.at = last, memory, now
	}
	return a.last, nil
}

// read reads the counters, those of memory only if asked to: else that of the machine. A file
// that this process has no permission for is as one that is not there.
func (a *ancestorOOM) read(memory bool) (oomReading, error) {
	reading := oomReading{cgroups: make([]oomCounts, 0, len(a.dirs))}
	if !memory {
		reading.machine = machineOOM()
	}
	buf := takeBuffer()
	defer giveBuffer(buf)
	for _, d := range a.dirs {
		r := reader{d: d, buf: buf}
		c := oomCounts{path: d.path}
		if memory {
			c = r.kernelCounts()
		}
		c.oomd = d.oomdKills()
		reading.cgroups = append(reading.cgroups, c)
		if r.err != nil && !errors.Is(r.err, fs.ErrPermission) {
			return oomReading{}, r.err
		}
	}
	return reading, nil
}

// machineOOM reads how many processes the kernel has killed for want of memory, by whatever
// limit, on the whole machine (Linux 4.13); containers have the file, too.
func machineOOM() *uint64 {
	fd, err := unix.Open("/proc/vmstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	buf := takeBuffer()
	defer giveBuffer(buf)
	return readUpTo(fd, "oom_kill", buf)
}

// readUpTo reads a flat-keyed file no further than the line of a key; nil: there is none. For
// each read(2) of /proc/vmstat the kernel adds up the counters of all processors, some 12 µs,
// and gives a page at most.
func readUpTo(fd int, key string, buf []byte) *uint64 {
	for rest := 0; ; { // of a line that was cut
		n, err := unix.Read(fd, buf[rest:])
		if err != nil || n == 0 {
			return nil
		}
		end := bytes.LastIndexByte(buf[:rest+n], '\n') + 1
		if v, known := lookup(buf[:end], key); known {
			return &v
		}
		rest = copy(buf, buf[end:rest+n])
	}
}
