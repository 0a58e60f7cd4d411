package protocol

// JobStarted is the first notification about a job. The supervisor sends it once.
type JobStarted struct {
	Job        int    `json:"job"`
	PID        int    `json:"pid"`
	Name       string `json:"name"`
	NameBase64 []byte `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Time       Time   `json:"time"`
}

// JobStopped says that the main process was stopped.
type JobStopped struct {
	Job    int    `json:"job"`
	PID    int    `json:"pid"`
	Signal string `json:"signal"` // that stopped it, such as SIGTSTP
	Time   Time   `json:"time"`
}

// JobContinued says that the main process runs again after a stop.
type JobContinued struct {
	Job  int  `json:"job"`
	PID  int  `json:"pid"`
	Time Time `json:"time"`
}

// ProcessExited says that a process has ended and that the supervisor has waited for it.
type ProcessExited struct {
	Job  int  `json:"job"` // 0: of a descendant, and its job is not known
	PID  int  `json:"pid"`
	Main bool `json:"main"` // it was the main process
	Exit
	Usage Usage `json:"usage"`
	Time  Time  `json:"time"`
}

// Usage is the rusage of one process, and of the children that it waited for
// (getrusage(2)).
type Usage struct {
	UserS   float64 `json:"user_s"`
	SystemS float64 `json:"system_s"`
	MainUsage
}

// JobOutput is what a job has written to a captured descriptor.
type JobOutput struct {
	Job  int    `json:"job"`
	FD   int    `json:"fd"`   // the job's: 1 is its standard output
	Data []byte `json:"data"` // in base64
}

// OutputEnd is how much there was of a captured descriptor.
type OutputEnd struct {
	FD           int   `json:"fd"`
	Bytes        int64 `json:"bytes"`         // that were told
	DroppedBytes int64 `json:"dropped_bytes"` // that were not: beyond the limit, or the owner was slow
}

// LimitHit says how often the job has met limits since its start
// (memory.events, pids.events).
type LimitHit struct {
	Job     int           `json:"job"`
	Memory  *MemoryEvents `json:"memory"`
	PidsMax *uint64       `json:"pids_max"` // forks refused
	Time    Time          `json:"time"`
}

// PressureHit says that a PSI trigger has fired.
type PressureHit struct {
	Job int `json:"job"`
	PressureTrigger
	Time Time `json:"time"`
}

// JobSample is a Sample of one job.
type JobSample struct {
	Job int `json:"job"`
	Sample
}

// JobEnded is the last notification about a job. The supervisor sends it once, when
// no process of the job is alive and its cgroup is removed.
type JobEnded struct {
	Job    int               `json:"job"`
	Tags   map[string]string `json:"tags,omitempty"`
	Output []OutputEnd       `json:"output,omitempty"` // of captured descriptors
	Record *Record           `json:"record"`
}
