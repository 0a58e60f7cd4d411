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
	Wait   bool     `json:"wait,omitempty"`   // the answer comes when nothing of the job is left: KillResult
}

// KillResult answers a kill with Wait, right after ended: no process of the job is alive,
// and its cgroup is removed.
type KillResult struct {
	JobEnded
	Killed      []KilledProcess `json:"killed"`       // processes that were alive when SIGKILL was sent; the first 100
	KilledTotal *int            `json:"killed_total"` // how many they were; null if not known
}

// A KilledProcess is one that a kill has ended.
type KilledProcess struct {
	PID        int    `json:"pid"`
	Comm       string `json:"comm"`                  // /proc/PID/stat, field 2
	CommBase64 []byte `json:"comm_base64,omitempty"` // the bytes of comm, if they are not UTF-8
}

// InputParams write to a descriptor of a job that is "input", or to its terminal. Data or
// Text is given, or neither.
type InputParams struct {
	Job  int    `json:"job"`
	FD   int    `json:"fd,omitempty"`   // the job's; 0 if not given
	Data []byte `json:"data,omitempty"` // in base64
	Text Text   `json:"text,omitempty"`
	EOF  bool   `json:"eof,omitempty"` // the pipe ends behind it; on a terminal the end-of-file character is typed
}

// ResizeParams set the size of a job's terminal, which tells its foreground process group
// by SIGWINCH (ioctl_tty(2), TIOCSWINSZ).
type ResizeParams struct {
	Job  int    `json:"job"`
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// OutputParams ask for output that was kept.
type OutputParams struct {
	Job    int     `json:"job"`
	FD     *int    `json:"fd,omitempty"`     // the job's; 1 if not given
	Offset *int64  `json:"offset,omitempty"` // of the first byte that is wanted; that of the oldest if not given, negative: that many before the end
	Max    int64   `json:"max,omitempty"`    // bytes; 64 KiB if not given, at most MaxOutput; of text one character at least
	Wait   float64 `json:"wait,omitempty"`   // seconds that the answer may wait for a byte or the end; 0: none
	Text   bool    `json:"text,omitempty"`   // as text, where it is UTF-8
}

// CreditParams say that the owner has taken output of a descriptor that has a window, so that
// as much may be told beyond it.
type CreditParams struct {
	Job   int   `json:"job"`
	FD    *int  `json:"fd,omitempty"` // the job's; 1 if not given
	Bytes int64 `json:"bytes"`
}

// OutputResult is a part of what a descriptor of a job has written.
type OutputResult struct {
	Offset int64   `json:"offset"`         // of the first byte here
	Next   int64   `json:"next"`           // of the byte after the last one here: the offset to ask for next
	Cut    int64   `json:"cut"`            // bytes between the offset that was asked for and Offset, that are not kept any more
	Bytes  int64   `json:"bytes"`          // written so far
	Data   []byte  `json:"data,omitzero"`  // in base64; missing if there is Text
	Text   *string `json:"text,omitempty"` // whole characters
	EOF    bool    `json:"eof"`            // no byte will follow those before Bytes
	Ended  bool    `json:"ended"`          // the job has ended
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
	Kept []int      `json:"kept"` // jobs that have ended, of which output is kept
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
