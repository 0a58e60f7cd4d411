package protocol

// ListSchema names the layout of List; a change that readers must know of changes the number.
const ListSchema = "supervise.list/1"

// A List is what "supervise list --json" writes: the jobs that the supervisors on this machine
// hold, outer ones before those in them. What is not known is null, never zero.
type List struct {
	Schema  string      `json:"schema"`  // ListSchema
	Version string      `json:"version"` // of the supervise that wrote it
	Jobs    []ListedJob `json:"jobs"`
}

// A ListedState is what a listed job is doing.
type ListedState string

const (
	ListedRunning  ListedState = "running"
	ListedFrozen   ListedState = "frozen"   // all its processes are
	ListedEmpty    ListedState = "empty"    // no process is left, or none is there yet
	ListedOrphaned ListedState = "orphaned" // its supervisor is dead, and so is the guardian; the next supervise in the same place ends it
)

// A ListedJob is one job at the moment of reading.
type ListedJob struct {
	ID         string      `json:"id"`                    // for "supervise kill" and the like: the session's id or the supervisor's pid, and the name of the job's directory
	Name       string      `json:"name"`                  // as its supervisor was told
	NameBase64 []byte      `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Outer      *string     `json:"outer"`                 // id of the job that its supervisor is in; null: none that is listed
	State      ListedState `json:"state"`

	Containment  Containment `json:"containment"`
	Cgroup       *string     `json:"cgroup"`                  // directory of the job node
	CgroupBase64 []byte      `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	UID          int         `json:"uid"`                     // the user that it belongs to

	Started   *Time    `json:"started"`
	PID       *int     `json:"pid"`        // of the main process, also if it has ended
	Processes *int     `json:"processes"`  // that live
	CPUS      *float64 `json:"cpu_s"`      // seconds of processor time so far; of a job held by descent that of processes that live, or were waited for
	Memory    *uint64  `json:"memory"`     // memory.current, in bytes
	MemoryMax *uint64  `json:"memory_max"` // memory.max, in bytes; null: no limit of its own
	PidsMax   *uint64  `json:"pids_max"`   // pids.max, in tasks; null: no limit of its own

	Supervisor *int      `json:"supervisor"` // pid of the supervise that holds it
	Owner      *JobOwner `json:"owner"`      // the process that started that supervise; null: it is gone
}

// A JobOwner is a process that has started a supervise.
type JobOwner struct {
	PID        int    `json:"pid"`
	Comm       string `json:"comm"`                  // /proc/PID/stat, field 2
	CommBase64 []byte `json:"comm_base64,omitempty"` // the bytes of comm, if they are not UTF-8
}

// StatSchema names the layout of Stat; a change that readers must know of changes the number.
const StatSchema = "supervise.stat/1"

// A Stat is what "supervise stat --json" writes: what a running job has used so far, and what
// runs in it. What is not known is null, never zero; of a job held by descent the kernel
// counts nothing but what is in Job and Procs.
type Stat struct {
	Schema  string `json:"schema"`  // StatSchema
	Version string `json:"version"` // of the supervise that wrote it

	Job       ListedJob   `json:"job"`
	CPU       CPU         `json:"cpu"`
	Memory    Memory      `json:"memory"`
	MemoryNow MemorySplit `json:"memory_now"` // what Job.Memory is made of, for the most part
	IO        IO          `json:"io"`
	Pids      Pids        `json:"pids"`
	Pressure  Pressure    `json:"pressure"`
	Limits    []NowLimit  `json:"limits"` // those that are set, by the supervisor or by another process

	Procs []Process `json:"procs"` // that live; null: they could not be read
}

// A NowLimit is an interface file of the job node that limits something.
type NowLimit struct {
	File  string `json:"file"`  // such as memory.max
	Value string `json:"value"` // as the kernel shows it; its lines are joined by "; "
}

// A Process is one of a job's, at the moment of reading.
type Process struct {
	PID        int     `json:"pid"`
	Parent     int     `json:"parent"`
	State      string  `json:"state"`                 // R, S, D, T, t or Z, as in proc_pid_stat(5)
	Comm       string  `json:"comm"`                  // /proc/PID/stat, field 2
	CommBase64 []byte  `json:"comm_base64,omitempty"` // the bytes of comm, if they are not UTF-8
	Threads    int     `json:"threads"`
	AgeS       float64 `json:"age_s"` // seconds since it was forked
	CPUS       float64 `json:"cpu_s"` // seconds of processor time: its own, and that of children that it has waited for
	RSSBytes   int64   `json:"rss_bytes"`
}
