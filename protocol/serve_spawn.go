package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// SpawnParams describe a job.
type SpawnParams struct {
	Argv Texts `json:"argv,omitempty"` // at least one; without a slash argv[0] is looked up in the job's PATH
	Path Text  `json:"path,omitempty"` // of the program, instead of argv[0]
	Cwd  Text  `json:"cwd,omitempty"`  // the supervisor's if not given

	Pipeline []Command `json:"pipeline,omitempty"` // several commands in place of Argv and Path, the output of each the input of the next

	Env       Environ       `json:"env,omitzero"`         // all of the environment; null: the supervisor's
	EnvUpdate EnvironUpdate `json:"env_update,omitempty"` // changes to it; null, or in a list a name without "=", removes

	Stdio []Stdio `json:"stdio,omitempty"` // descriptors 0, 1, 2 and so on; those not given of the first three are null
	FDs   int     `json:"fds,omitempty"`   // how many descriptors came with this request

	Name Text              `json:"name,omitempty"` // for people; the program's if not given
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
	NotifyReady       = "ready" // the job gets NOTIFY_SOCKET; ready comes when it says READY=1 there (sd_notify(3))
)

// A Command is one of a pipeline. What it does not say is that of SpawnParams.
type Command struct {
	Argv Texts `json:"argv"`           // at least one
	Path Text  `json:"path,omitempty"` // of the program, instead of argv[0]
	Cwd  Text  `json:"cwd,omitempty"`

	Env       Environ       `json:"env,omitzero"`         // all of the environment, in place of that of SpawnParams
	EnvUpdate EnvironUpdate `json:"env_update,omitempty"` // changes to the one or the other
}

// Leftovers is what becomes of processes that outlive the main process.
type Leftovers string

// The choices.
const (
	LeftoversKill Leftovers = "kill" // kill them at once
	LeftoversWait Leftovers = "wait" // the job goes on until they end
	LeftoversFail Leftovers = "fail" // as kill; for the owner to see in the record
)

// Stdio is what one descriptor of a job is. In JSON a kind without parameters may
// be written as a string: "null", "inherit", "pipe", "input", "capture", "pty".
type Stdio struct {
	Null    bool         `json:"null,omitempty"`    // /dev/null
	Inherit bool         `json:"inherit,omitempty"` // the supervisor's own; not that of the connection
	File    Text         `json:"file,omitempty"`    // a path, relative to Cwd
	Mode    FileMode     `json:"mode,omitempty"`    // of File
	Pipe    bool         `json:"pipe,omitempty"`    // a new pipe; its other end comes with the response
	FD      *int         `json:"fd,omitempty"`      // the n-th, from 0, of the descriptors that came with the request
	Dup     *int         `json:"dup,omitempty"`     // the same as a lower descriptor of the job: 2>&1
	Input   bool         `json:"input,omitempty"`   // a pipe that the method input writes to
	Capture *CaptureSpec `json:"capture,omitempty"` // told as output
	PTY     *PTYSpec     `json:"pty,omitempty"`     // the job's terminal: for descriptors 0, 1 and 2, which all are the same one
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
	case `"input"`:
		s.Input = true
	case `"capture"`:
		s.Capture = &CaptureSpec{}
	case `"pty"`:
		s.PTY = &PTYSpec{}
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

// A CaptureSpec says how much output is told, and how much is kept.
type CaptureSpec struct {
	Limit  int64 `json:"limit,omitempty"`  // bytes told in all, what is beyond is dropped; -1: no limit; if not given 1 MiB, with Window no limit, with Keep none is told
	Wait   bool  `json:"wait,omitempty"`   // the job waits for a slow owner, instead of bytes being dropped
	Window int64 `json:"window,omitempty"` // bytes told that the owner has not given back by credit, beyond which the job waits; 0: no such bound
	Keep   int64 `json:"keep,omitempty"`   // the last bytes, at most MaxKept, which are kept for the method output; 0: none
	Text   bool  `json:"text,omitempty"`   // told as text, where it is UTF-8
}

// A PTYSpec describes the terminal of a job (pty(7)). All that it prints is told as output
// of descriptor 1, without a limit, and the job waits for a slow owner.
type PTYSpec struct {
	Rows   uint16 `json:"rows,omitempty"`   // 24 if not given
	Cols   uint16 `json:"cols,omitempty"`   // 80 if not given
	Window int64  `json:"window,omitempty"` // as in CaptureSpec
	Keep   int64  `json:"keep,omitempty"`   // as in CaptureSpec; with it nothing is told
	Text   bool   `json:"text,omitempty"`   // as in CaptureSpec
	Master bool   `json:"master,omitempty"` // the master side comes with the answer, and the owner alone reads, writes and resizes
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
	Job          int     `json:"job"` // its number, never used again in this conversation
	PID          int     `json:"pid"` // of the main process
	Cgroup       *string `json:"cgroup"`
	CgroupBase64 []byte  `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8

	Limits     []Limit      `json:"limits"`
	Unenforced []Unenforced `json:"unenforced"`

	Pipes []int `json:"pipes,omitempty"` // the job's descriptors whose other ends come with this line, in this order
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
