package cgroup

import "golang.org/x/sys/unix"

// Stats is a job's use of resources. A nil structure or field says that the kernel does not
// have the file or the key, or that the job was not given the controller: a zero is always a
// measured one. The numbers are of the whole tree below the job node, sub-cgroups included.
// They are gone with the directory.
//
// Sources: cgroup-v2.rst, section "Controllers"; psi.rst. Kernel versions are those
// that brought a field; what counts is whether it is there.
type Stats struct {
	CPU    *CPUStat
	Memory *MemoryUsage
	IO     *IOStat
	Pids   *PidsUsage

	CPUPressure    *Pressure // cpu.pressure
	MemoryPressure *Pressure // memory.pressure
	IOPressure     *Pressure // io.pressure
}

// CPUStat is cpu.stat. Times are in microseconds. The first three are there without
// the cpu controller.
type CPUStat struct {
	Usage  *uint64 // usage_usec
	User   *uint64 // user_usec
	System *uint64 // system_usec

	Periods       *uint64 // nr_periods: of the job's own quota (cpu.max)
	Throttled     *uint64 // nr_throttled: of these, how many used it up
	ThrottledTime *uint64 // throttled_usec: summed over CPUs
}

// MemoryUsage holds the single-value files of the memory controller, in bytes.
type MemoryUsage struct {
	Current  *uint64 // memory.current: page cache included, hence not 0 at a job's end
	Peak     *uint64 // memory.peak (Linux 5.19): page cache included
	Swap     *uint64 // memory.swap.current
	SwapPeak *uint64 // memory.swap.peak (Linux 6.12 has it, 6.1 does not)

	Stat        *MemoryStat
	Events      *MemoryEvents // memory.events: of the tree (with the mount option memory_localevents: of the node)
	EventsLocal *MemoryEvents // memory.events.local (Linux 5.2): of the job node's own limits
}

// MemoryStat is the part of memory.stat that adds up to nearly all of
// memory.current: bytes, at the moment of reading.
type MemoryStat struct {
	Anon   *uint64 // anon: what processes have allocated
	File   *uint64 // file: page cache, and Shmem
	Shmem  *uint64 // shmem: tmpfs, and memory that processes share; unlike the rest of File it cannot be dropped
	Kernel *uint64 // kernel (Linux 5.18): slab, page tables, stacks, sockets not
}

// MemoryEvents is memory.events, or memory.events.local: counts.
type MemoryEvents struct {
	Low          *uint64 // low: reclaimed from below memory.low
	High         *uint64 // high: throttled at memory.high
	Max          *uint64 // max: about to go over memory.max
	OOM          *uint64 // oom: at the limit with nothing to reclaim, and an allocation about to fail
	OOMKill      *uint64 // oom_kill: kills by any OOM killer; where a group was killed more than there were processes: see OOM.Kills
	OOMGroupKill *uint64 // oom_group_kill (Linux 5.17): a whole cgroup killed
}

// IOStat is io.stat.
type IOStat struct {
	Devices []DeviceIO // in the kernel's order; those that the job did not use are not there
	Total   IOCounters // of the devices that are not Stacked
}

// DeviceIO is a line of io.stat.
type DeviceIO struct {
	Major, Minor uint32
	Stacked      bool // it keeps its blocks on other devices (dm, md, loop), which count them too
	IOCounters
}

// IOCounters are bytes and operations, as they were sent to the device: a hit in the page cache
// is no reading, and a dirty page is not written yet.
type IOCounters struct {
	ReadBytes    uint64 // rbytes
	WriteBytes   uint64 // wbytes
	ReadOps      uint64 // rios
	WriteOps     uint64 // wios
	DiscardBytes uint64 // dbytes
	DiscardOps   uint64 // dios
}

// PidsUsage holds the pids controller's counts of tasks, threads included.
type PidsUsage struct {
	Current   *uint64 // pids.current
	Peak      *uint64 // pids.peak (Linux 6.1)
	MaxEvents *uint64 // pids.events, "max": forks that failed at a limit, the job's or one above
}

// Pressure is cpu.pressure, memory.pressure or io.pressure: microseconds since the
// job's start in which some tasks, or all that were not idle, were waiting
// for the resource.
type Pressure struct {
	Some *uint64
	Full *uint64 // of the CPU since Linux 5.13
}

// Stats reads all files. Call it before Close, which removes them. On an error the other fields
// are still filled in.
func (j *Job) Stats() (*Stats, error) {
	j.s.flush()
	return j.stats()
}

func (j *Job) stats() (*Stats, error) {
	r := reader{d: j.node, buf: takeBuffer(), lacks: &j.s.lacks}
	defer func() { giveBuffer(r.buf) }()
	s := &Stats{
		CPU:            parseCPUStat(r.read("cpu.stat")),
		Memory:         r.memory(),
		IO:             parseIOStat(r.read("io.stat"), isStacked),
		Pids:           r.pids(j),
		CPUPressure:    parsePressure(r.read("cpu.pressure")),
		MemoryPressure: parsePressure(r.read("memory.pressure")),
		IOPressure:     parsePressure(r.read("io.pressure")),
	}
	return s, r.err
}

// crowded is the number of jobs from which flush costs less than it saves.
const crowded = 64

// flush has the kernel add up the use of all jobs at once. To add up one job's, the kernel would
// search the list of all jobs that have used something since (css_rstat_updated_list in
// rstat.c): 10,000 ends would take 10,000 times 10,000 steps.
func (s *Session) flush() {
	if s.made-s.gone < crowded {
		return
	}
	if s.stat == 0 {
		fd, err := s.open("cpu.stat", unix.O_RDONLY)
		if err != nil {
			return
		}
		s.stat = fd
	}
	var b [32]byte
	unix.Pread(s.stat, b[:], 0)
}

// memory reads the files of the memory controller, if there is one.
func (r *reader) memory() *MemoryUsage {
	current := parseNumber(r.read("memory.current"))
	if current == nil {
		return nil
	}
	return &MemoryUsage{
		Current:     current,
		Peak:        parseNumber(r.read("memory.peak")),
		Swap:        parseNumber(r.read("memory.swap.current")),
		SwapPeak:    parseNumber(r.read("memory.swap.peak")),
		Stat:        parseMemoryStat(r.read("memory.stat")),
		Events:      parseMemoryEvents(r.read("memory.events")),
		EventsLocal: parseMemoryEvents(r.read("memory.events.local")),
	}
}

// pids reads the files of the pids controller, if there is one. Linux 6.12 counts at
// the limit and upwards; before (there is no pids.events.local) a failed fork counts
// in the cgroup that it is in alone, which is nearly always the main leaf.
func (r *reader) pids(j *Job) *PidsUsage {
	current := parseNumber(r.read("pids.current"))
	if current == nil {
		return nil
	}
	u := &PidsUsage{Current: current, Peak: parseNumber(r.read("pids.peak"))}
	u.MaxEvents = number(r.read("pids.events"), "max")
	if u.MaxEvents != nil && !r.d.has("pids.events.local") {
		main, err := j.leaf()
		if err != nil {
			r.fail(err)
			return u
		}
		leaf := reader{d: main, buf: r.buf}
		if n := number(leaf.read("pids.events"), "max"); n != nil {
			*u.MaxEvents += *n
		}
		r.fail(leaf.err)
	}
	return u
}
