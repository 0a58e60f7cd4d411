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

// JobReady says that the job has told READY=1 (sd_notify(3)). It comes once.
type JobReady struct {
	Job    int    `json:"job"`
	PID    int    `json:"pid"`    // that has told it
	Status string `json:"status"` // the latest STATUS= of the job, "" if there was none
	Time   Time   `json:"time"`
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

// JobOutput is what a job has written to a captured descriptor, or to its terminal.
type JobOutput struct {
	Job  int     `json:"job"`
	FD   int     `json:"fd"`             // the job's: 1 is its standard output
	Data []byte  `json:"data,omitzero"`  // in base64; missing if there is Text
	Text *string `json:"text,omitempty"` // whole characters, if it was asked for and they are UTF-8
}

// OutputEnd is how much there was of a captured descriptor.
type OutputEnd struct {
	FD           int   `json:"fd"`
	Bytes        int64 `json:"bytes"`                // that were told
	DroppedBytes int64 `json:"dropped_bytes"`        // that were not, nor are they kept: beyond the limit, or the owner was slow
	KeptBytes    int64 `json:"kept_bytes,omitempty"` // the last ones, that the method output has
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

	Commands []CommandEnd `json:"commands,omitempty"` // of a pipeline, in its order
}

// CommandEnd is how a command of a pipeline has ended. The exit of the record is that of
// the last command that did not exit with 0, else 0 ("pipefail" of shells).
type CommandEnd struct {
	PID  *int  `json:"pid"`  // null: it was not started, which its exit tells as a shell does: 127 or 126
	Exit *Exit `json:"exit"` // null: it was killed with the others, and its end was not seen
}
