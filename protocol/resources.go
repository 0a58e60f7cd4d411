package protocol

// CPU is processor time of the whole job: in a cgroup from cpu.stat, else, user and
// system alone, the rusage of every process that was reaped.
type CPU struct {
	UserS   *float64 `json:"user_s"`   // seconds
	SystemS *float64 `json:"system_s"` // seconds
	TotalS  *float64 `json:"total_s"`  // seconds, usage_usec; more exact than the sum

	// Of the cpu controller, null without it.
	Periods          *uint64  `json:"periods"`           // nr_periods: of cpu.max in which the job ran
	ThrottledPeriods *uint64  `json:"throttled_periods"` // nr_throttled: in which it used up its quota
	ThrottledS       *float64 `json:"throttled_s"`       // seconds that its processes waited for the next
}

// Memory is what the whole job held; all null without the memory controller. The peak has
// page cache in it, which the kernel lets grow up to the limit: what a job needs is nearer
// to SampledMax, its anonymous and shared memory.
type Memory struct {
	PeakBytes     *uint64 `json:"peak_bytes"`      // memory.peak (Linux 5.19), page cache included
	SwapPeakBytes *uint64 `json:"swap_peak_bytes"` // memory.swap.peak (Linux 6.12 has it, 6.1 does not)

	Events      *MemoryEvents `json:"events"`       // memory.events: here or in sub-cgroups of the job
	EventsLocal *MemoryEvents `json:"events_local"` // memory.events.local: at the job's own limits

	AtPeak     *MemorySplit `json:"at_peak"`     // of the sample that held most; null without --sample
	SampledMax *MemorySplit `json:"sampled_max"` // the highest of each in the samples, which may miss what was short; null without --sample. No kernel keeps the highest anonymous memory
}

// MemoryEvents count how often limits were met, see "memory.events" in the
// kernel's cgroup-v2.rst.
type MemoryEvents struct {
	Low          *uint64 `json:"low"`
	High         *uint64 `json:"high"`           // throttled at memory.high
	Max          *uint64 `json:"max"`            // about to exceed memory.max
	OOM          *uint64 `json:"oom"`            // an allocation was about to fail at the limit
	OOMKill      *uint64 `json:"oom_kill"`       // kills by any OOM killer; where memory.oom.group is set it may count a process more than once: see oom.kills
	OOMGroupKill *uint64 `json:"oom_group_kill"` // Linux 5.17
}

// A MemorySplit says what memory was used for (memory.stat), in bytes.
type MemorySplit struct {
	AnonBytes   *uint64 `json:"anon_bytes"`   // what processes have allocated
	FileBytes   *uint64 `json:"file_bytes"`   // page cache, and shmem_bytes
	ShmemBytes  *uint64 `json:"shmem_bytes"`  // tmpfs, and memory that processes share: no page cache that could be dropped
	KernelBytes *uint64 `json:"kernel_bytes"` // Linux 5.18
}

// IO is what the whole job read from and wrote to block devices (io.stat); all null
// without the io controller. A device made of others (LVM, RAID) is among the
// devices, but not in the sums, which count its parts.
type IO struct {
	ReadBytes  *uint64 `json:"read_bytes"`
	WriteBytes *uint64 `json:"write_bytes"`
	ReadOps    *uint64 `json:"read_ops"`
	WriteOps   *uint64 `json:"write_ops"`

	Devices []DeviceIO `json:"devices"` // null if not known
}

// DeviceIO is IO of one device.
type DeviceIO struct {
	Device     string `json:"device"` // MAJOR:MINOR
	ReadBytes  uint64 `json:"read_bytes"`
	WriteBytes uint64 `json:"write_bytes"`
	ReadOps    uint64 `json:"read_ops"`
	WriteOps   uint64 `json:"write_ops"`
}

// Pids counts processes and threads (pids controller).
type Pids struct {
	Peak    *uint64 `json:"peak"`     // pids.peak (Linux 6.1)
	MaxHits *uint64 `json:"max_hits"` // pids.events, "max": forks that the limit refused
}

// Pressure is how long processes of the job waited for a resource (PSI,
// cpu.pressure and so on): some of them, or all that could run; in seconds.
type Pressure struct {
	CPU    Stall `json:"cpu"`
	Memory Stall `json:"memory"`
	IO     Stall `json:"io"`
}

// A Stall is the "total" of both lines of a pressure file.
type Stall struct {
	SomeS *float64 `json:"some_s"`
	FullS *float64 `json:"full_s"`
}

// MainUsage is the rusage (getrusage(2)) of the main process and of the children that it
// waited for.
type MainUsage struct {
	MaxRSSBytes         *uint64 `json:"max_rss_bytes"`        // of the largest of them; null if that may be the memory of supervise, which forked it
	MinorFaults         *uint64 `json:"minor_faults"`         // without I/O
	MajorFaults         *uint64 `json:"major_faults"`         // with I/O
	VoluntarySwitches   *uint64 `json:"voluntary_switches"`   // it waited for something
	InvoluntarySwitches *uint64 `json:"involuntary_switches"` // its turn was over
}

// An OOM names the cgroup that ran out of memory when the kernel or systemd-oomd killed processes of the job.
type OOM struct {
	By           string  `json:"by"`                      // one of OOMByJob and the following
	Cgroup       *string `json:"cgroup"`                  // whose limit it was
	CgroupBase64 []byte  `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	Kills        *uint64 `json:"kills"`                   // processes of the job that the kernel killed; null: not known, as mostly where a group was killed at once (--oom-group), which no kernel counts right
}

// The values of OOM.By.
const (
	OOMByJob      = "job"          // a limit of the job's own, or of a sub-cgroup of it
	OOMByAncestor = "ancestor"     // the limit of a cgroup above the job
	OOMByOutside  = "outside"      // a cgroup above those that we see, or the machine
	OOMByMachine  = "machine"      // all of it
	OOMByDaemon   = "systemd-oomd" // a daemon's opinion
)

// A Limit is one that was asked for, and is enforced.
type Limit struct {
	Name       string `json:"name"`                  // as it was given, such as "--memory-max 1G"
	NameBase64 []byte `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	File       string `json:"file"`                  // of the job's cgroup
	Value      string `json:"value"`                 // that was written to it
}

// An Unenforced limit was asked for with --best-effort, and cannot be had; or, in a record, it
// was not as it had been set at the end of the job any more.
type Unenforced struct {
	Name       string `json:"name"`
	NameBase64 []byte `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Reason     string `json:"reason"`
}
