package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// The messages of "supervise serve": JSON-RPC 2.0, one a line. SERVE.md is the
// specification, with examples; serve.schema.json is the schema of the types here.
// What a peer does not know it ignores; null and a missing field are the same.

// ServeVersion is the version of the protocol that this package describes.
const ServeVersion = 1

// MaxRequest is how long a request may be, in bytes, its newline included.
const MaxRequest = 1 << 20

// MaxDescriptors is how many descriptors may come with one request (SCM_MAX_FD).
const MaxDescriptors = 253

// Methods.
const (
	MethodHello    = "hello"    // HelloParams, HelloResult: the first request
	MethodSpawn    = "spawn"    // SpawnParams, SpawnResult
	MethodSignal   = "signal"   // SignalParams
	MethodKill     = "kill"     // KillParams; answered at once
	MethodFreeze   = "freeze"   // JobParams; answered when all of the job is frozen
	MethodThaw     = "thaw"     // JobParams
	MethodLimit    = "limit"    // LimitParams, LimitResult
	MethodStat     = "stat"     // JobParams, StatResult
	MethodMark     = "mark"     // MarkParams, MarkResult
	MethodList     = "list"     // no parameters, ListResult
	MethodWait     = "wait"     // JobParams, JobEnded; answered when the job has ended
	MethodDetach   = "detach"   // JobParams, DetachResult
	MethodShutdown = "shutdown" // ShutdownParams; answered when all jobs have ended
)

// Notifications.
const (
	NoteStarted   = "started"   // JobStarted
	NoteStopped   = "stopped"   // JobStopped
	NoteContinued = "continued" // JobContinued
	NoteExited    = "exited"    // ProcessExited
	NoteOutput    = "output"    // JobOutput
	NoteOOM       = "oom"       // LimitHit
	NoteLimit     = "limit"     // LimitHit
	NotePressure  = "pressure"  // PressureHit
	NoteSample    = "sample"    // JobSample
	NoteEnded     = "ended"     // JobEnded
)

// Error codes. Those above -32100 are JSON-RPC's own.
const (
	CodeParse          = -32700 // the line is no JSON
	CodeInvalidRequest = -32600 // it is no request
	CodeNoMethod       = -32601 // there is no such method
	CodeInvalidParams  = -32602 // see ErrorData.Field
	CodeInternal       = -32603 // our fault

	CodeHelloFirst    = -32001 // no hello yet, or one with no common version, or a second one
	CodeTooLong       = -32002 // the line is longer than MaxRequest
	CodeTooMany       = -32003 // too much is in flight, or out of some resource
	CodeNoJob         = -32004 // there is no such job, or its ended was sent
	CodeNotFound      = -32005 // the command, its interpreter or the directory is not there
	CodeNotExecutable = -32006 // the command cannot be executed
	CodeLimit         = -32007 // a limit cannot be had here
	CodeUnsupported   = -32008 // not with this containment, kernel or connection
	CodeShuttingDown  = -32009 // no more jobs
	CodeSystem        = -32010 // a system call failed, see ErrorData.Errno
)

// A Message is any line: a request (ID, Method), a notification (Method), a
// response (ID, and Result or Error).
type Message struct {
	JSONRPC string          `json:"jsonrpc"` // "2.0"
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// An Error is why a request failed. It is a Go error, too.
type Error struct {
	Code    int        `json:"code"`
	Message string     `json:"message"` // one line, for people
	Data    *ErrorData `json:"data,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// ErrorData is what a program may want to know about an error.
type ErrorData struct {
	Field string `json:"field,omitempty"` // of the parameters, such as "stdio[1].mode"
	Errno string `json:"errno,omitempty"` // such as "ENOENT"
}

// HelloParams begin a conversation.
type HelloParams struct {
	Versions []int `json:"versions"` // of the protocol, that the owner speaks
}

// HelloResult says what is spoken, and what there is.
type HelloResult struct {
	Version           int         `json:"version"` // the highest that both speak
	Server            string      `json:"server"`  // "supervise" and its version
	PID               int         `json:"pid"`     // of the supervisor
	Containment       Containment `json:"containment"`
	ContainmentReason *string     `json:"containment_reason"` // why it is not cgroup, or a shared one
	Cgroup            *string     `json:"cgroup"`             // directory of the session
	Controllers       []string    `json:"controllers"`        // that limits and numbers are to be had of
	Features          []string    `json:"features"`           // see SERVE.md
	MaxRequest        int         `json:"max_request"`        // bytes
}

// SpawnParams describe a job.
type SpawnParams struct {
	Argv []string `json:"argv"`           // at least one; without a slash argv[0] is looked up in the job's PATH
	Path string   `json:"path,omitempty"` // of the program, instead of argv[0]
	Cwd  string   `json:"cwd,omitempty"`  // the supervisor's if not given

	Env       map[string]string  `json:"env,omitempty"`        // all of the environment; null: the supervisor's
	EnvUpdate map[string]*string `json:"env_update,omitempty"` // changes to it; null removes

	Stdio []Stdio `json:"stdio,omitempty"` // descriptors 0, 1, 2 and so on; those not given of the first three are null
	FDs   int     `json:"fds,omitempty"`   // how many descriptors came with this request

	Name string            `json:"name,omitempty"` // for people; the program's if not given
	Tags map[string]string `json:"tags,omitempty"` // the owner's own; come back in list and ended

	Limits     map[string]LimitValue `json:"limits,omitempty"` // by the names of supervise's flags, or systemd's
	BestEffort bool                  `json:"best_effort,omitempty"`
	Delegate   bool                  `json:"delegate,omitempty"` // the job gets the controllers for sub-cgroups of its own

	Timeout    float64   `json:"timeout,omitempty"`     // seconds; 0: none
	CPUTimeout float64   `json:"cpu_timeout,omitempty"` // seconds of processor time of the whole job; 0: none
	Grace      *float64  `json:"grace,omitempty"`       // seconds between Signal and the kill when a time is up; 10 if not given
	Signal     string    `json:"signal,omitempty"`      // such as "TERM", which it is if not given
	Leftovers  Leftovers `json:"leftovers,omitempty"`   // kill if not given

	Notify   []string          `json:"notify,omitempty"`   // more to hear of: NotifyDescendants and the following
	Pressure []PressureTrigger `json:"pressure,omitempty"` // PSI triggers
	Sample   float64           `json:"sample,omitempty"`   // seconds between sample notifications; 0: none
}

// What may be asked for in SpawnParams.Notify.
const (
	NotifyDescendants = "descendants" // exited also of orphans of the job, which the supervisor waits for
	NotifyOOM         = "oom"
	NotifyLimit       = "limit"
)

// Leftovers is what becomes of processes that outlive the main process.
type Leftovers string

// The choices.
const (
	LeftoversKill Leftovers = "kill" // kill them at once
	LeftoversWait Leftovers = "wait" // the job goes on until they end
	LeftoversFail Leftovers = "fail" // as kill; for the owner to see in the record
)

// Stdio is what one descriptor of a job is. In JSON a kind without parameters may
// be written as a string: "null", "inherit", "pipe", "capture".
type Stdio struct {
	Null    bool         `json:"null,omitempty"`    // /dev/null
	Inherit bool         `json:"inherit,omitempty"` // the supervisor's own; not that of the connection
	File    string       `json:"file,omitempty"`    // a path, relative to Cwd
	Mode    FileMode     `json:"mode,omitempty"`    // of File
	Pipe    bool         `json:"pipe,omitempty"`    // a new pipe; its other end comes with the response
	FD      *int         `json:"fd,omitempty"`      // the n-th, from 0, of the descriptors that came with the request
	Dup     *int         `json:"dup,omitempty"`     // the same as a lower descriptor of the job: 2>&1
	Capture *CaptureSpec `json:"capture,omitempty"` // told as output
}

// UnmarshalJSON implements json.Unmarshaler: null is Null.
func (s *Stdio) UnmarshalJSON(b []byte) error {
	type plain Stdio
	*s = Stdio{}
	switch string(bytes.TrimSpace(b)) {
	case `"null"`, "null":
		s.Null = true
	case `"inherit"`:
		s.Inherit = true
	case `"pipe"`:
		s.Pipe = true
	case `"capture"`:
		s.Capture = &CaptureSpec{}
	default:
		return json.Unmarshal(b, (*plain)(s))
	}
	return nil
}

// FileMode is how Stdio.File is opened.
type FileMode string

// The modes. All but read create the file (mode 0666 and umask).
const (
	FileRead     FileMode = "read"     // what it is if not given for descriptor 0
	FileAppend   FileMode = "append"   // what it is if not given for others
	FileCreate   FileMode = "create"   // it must not exist
	FileTruncate FileMode = "truncate" // what it held is lost
)

// A CaptureSpec says how much output is told.
type CaptureSpec struct {
	Limit int64 `json:"limit,omitempty"` // bytes in all, what is beyond is dropped; 1 MiB if not given, -1: no limit
	Wait  bool  `json:"wait,omitempty"`  // the job waits for a slow owner, instead of bytes being dropped
}

// A PressureTrigger is a PSI trigger (Documentation/accounting/psi.rst): tell when processes
// of the job waited for Stall seconds within Window.
type PressureTrigger struct {
	Resource string  `json:"resource"` // cpu, memory or io
	Full     bool    `json:"full"`     // all processes at the same time waited, not just some
	StallS   float64 `json:"stall_s"`
	WindowS  float64 `json:"window_s"` // 0.5 to 10; for users without privileges a multiple of 2
}

// SpawnResult answers spawn. All notifications about the job come after it.
type SpawnResult struct {
	Job    int     `json:"job"` // its number, never used again in this conversation
	PID    int     `json:"pid"` // of the main process
	Cgroup *string `json:"cgroup"`

	Limits     []Limit      `json:"limits"`
	Unenforced []Unenforced `json:"unenforced"`

	Pipes []int `json:"pipes,omitempty"` // the job's descriptors whose other ends come with this line, in this order
}

// JobParams name a job.
type JobParams struct {
	Job int `json:"job"`
}

// SignalParams send a signal.
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

// LimitResult says what is enforced now of what was asked for.
type LimitResult struct {
	Limits     []Limit      `json:"limits"`
	Unenforced []Unenforced `json:"unenforced"`
}

// A LimitValue is the value of a limit as text: "1G", "50%". In JSON it may be a
// number or a boolean as well.
type LimitValue string

// UnmarshalJSON implements json.Unmarshaler.
func (v *LimitValue) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	var scalar any
	if err := json.Unmarshal(b, &scalar); err != nil {
		return err
	}
	switch s := scalar.(type) {
	case float64:
		*v = LimitValue(b)
	case bool:
		*v = "no"
		if s {
			*v = "yes"
		}
	default:
		return &json.UnmarshalTypeError{Value: "neither text, number nor boolean", Type: reflect.TypeFor[LimitValue]()}
	}
	return nil
}

// StatResult is what a job does and uses now.
type StatResult struct {
	JobState
	Sample *Sample `json:"sample"` // null: no cgroup
	Procs  []int   `json:"procs"`  // live processes, null if not known; the first 1,000
}

// JobState is an entry of list.
type JobState struct {
	Job     int               `json:"job"`
	PID     int               `json:"pid"`
	Name    string            `json:"name"`
	Tags    map[string]string `json:"tags"`
	State   State             `json:"state"`
	Frozen  bool              `json:"frozen"`
	Cgroup  *string           `json:"cgroup"`
	Started Time              `json:"started"`
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

// ListResult are the jobs whose ended was not sent yet, oldest first.
type ListResult struct {
	Jobs []JobState `json:"jobs"`
}

// MarkParams begin a phase of a job.
type MarkParams struct {
	Job  int    `json:"job"`
	Name string `json:"name"`
}

// MarkResult is the phase that the mark has ended.
type MarkResult struct {
	Phase Phase `json:"phase"`
}

// DetachResult is where a job is that was let go.
type DetachResult struct {
	Unit   string `json:"unit"` // of systemd's
	Cgroup string `json:"cgroup"`
}

// ShutdownParams end everything.
type ShutdownParams struct {
	Grace  *float64 `json:"grace,omitempty"`  // seconds; 0 if not given
	Signal string   `json:"signal,omitempty"` // "TERM" if not given
}

// JobStarted is told once of every job, first of all.
type JobStarted struct {
	Job  int    `json:"job"`
	PID  int    `json:"pid"`
	Name string `json:"name"`
	Time Time   `json:"time"`
}

// JobStopped says that the main process was stopped.
type JobStopped struct {
	Job    int    `json:"job"`
	PID    int    `json:"pid"`
	Signal string `json:"signal"` // that stopped it, such as SIGTSTP
	Time   Time   `json:"time"`
}

// JobContinued says that it goes on.
type JobContinued struct {
	Job  int  `json:"job"`
	PID  int  `json:"pid"`
	Time Time `json:"time"`
}

// ProcessExited says that a process has ended, and was waited for.
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

// LimitHit says that the job met limits, how often since its start
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

// JobEnded is the last word about a job: told once, when nothing of it is alive, and
// nothing of it is on the machine any more.
type JobEnded struct {
	Job    int               `json:"job"`
	Tags   map[string]string `json:"tags,omitempty"`
	Output []OutputEnd       `json:"output,omitempty"` // of captured descriptors
	Record *Record           `json:"record"`
}
