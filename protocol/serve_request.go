package protocol

// JobParams name a job.
type JobParams struct {
	Job int `json:"job"`
}

// SignalParams send a signal to a job.
type SignalParams struct {
	Job    int    `json:"job"`
	Signal string `json:"signal"`        // such as "INT", "SIGUSR1" or "12"
	All    bool   `json:"all,omitempty"` // to every process of the job, missing none that is being forked
}

// KillParams end a job.
type KillParams struct {
	Job    int      `json:"job"`
	Grace  *float64 `json:"grace,omitempty"`  // seconds between the signal and the kill; 0 if not given
	Signal string   `json:"signal,omitempty"` // to every process; "TERM" if not given
}

// LimitParams change limits of a running job.
type LimitParams struct {
	Job        int                   `json:"job"`
	Limits     map[string]LimitValue `json:"limits"`
	BestEffort bool                  `json:"best_effort,omitempty"`
}

// LimitResult says which of the limits that the owner asked for are enforced now.
type LimitResult struct {
	Limits     []Limit      `json:"limits"`
	Unenforced []Unenforced `json:"unenforced"`
}

// StatResult is what a job does and uses now.
type StatResult struct {
	JobState
	Sample *Sample `json:"sample"` // null: no cgroup
	Procs  []int   `json:"procs"`  // live processes, null if not known; the first 1,000
}

// JobState is an entry of list.
type JobState struct {
	Job          int               `json:"job"`
	PID          int               `json:"pid"`
	Name         string            `json:"name"`
	NameBase64   []byte            `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Tags         map[string]string `json:"tags"`
	State        State             `json:"state"`
	Frozen       bool              `json:"frozen"`
	Cgroup       *string           `json:"cgroup"`
	CgroupBase64 []byte            `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	Started      Time              `json:"started"`
}

// State is how far a job has come.
type State string

// The states.
const (
	StateRunning  State = "running"
	StateWaiting  State = "waiting"  // the main process has ended, the others are waited for
	StateStopping State = "stopping" // all were sent a signal, the grace period runs
	StateKilling  State = "killing"  // all were killed
)

// ListResult has the jobs whose ended the supervisor has not sent yet, oldest first.
type ListResult struct {
	Jobs []JobState `json:"jobs"`
}

// MarkParams begin a phase of a job.
type MarkParams struct {
	Job  int  `json:"job"`
	Name Text `json:"name"`
}

// MarkResult is the phase that the mark has ended.
type MarkResult struct {
	Phase Phase `json:"phase"`
}

// DetachResult says where a detached job is.
type DetachResult struct {
	Unit         string `json:"unit"` // of systemd's
	Cgroup       string `json:"cgroup"`
	CgroupBase64 []byte `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
}

// ShutdownParams end everything.
type ShutdownParams struct {
	Grace  *float64 `json:"grace,omitempty"`  // seconds; 0 if not given
	Signal string   `json:"signal,omitempty"` // "TERM" if not given
}
