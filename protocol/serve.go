package protocol

import "encoding/json"

// The messages of "supervise serve": JSON-RPC 2.0, one a line. SERVE.md is the
// specification, with examples; serve.schema.json is the schema of the types.
// A peer ignores what it does not know; null and a missing field are the same.
// The messages about spawn are in serve_spawn.go, the other requests in
// serve_request.go, the notifications in serve_notification.go.

// ServeVersion is the version of the protocol that this package describes.
const ServeVersion = 1

// MaxRequest is how long a request may be, in bytes, its newline included. It has room for
// all that execve(2) takes, which is 6 MiB.
const MaxRequest = 16 << 20

// MaxInput is how many bytes of input may wait for a job, in all of its descriptors.
const MaxInput = 1 << 20

// MaxKept is how many bytes of output one descriptor may have kept.
const MaxKept = 64 << 20

// MaxOutput is how many bytes one answer to output has at most.
const MaxOutput = 1 << 20

// MaxCommands is how many commands a pipeline may have.
const MaxCommands = 64

// MaxDescriptors is how many descriptors may come with one request (SCM_MAX_FD).
const MaxDescriptors = 253

// Methods.
const (
	MethodHello    = "hello"    // HelloParams, HelloResult: the first request
	MethodSpawn    = "spawn"    // SpawnParams, SpawnResult
	MethodSignal   = "signal"   // SignalParams
	MethodKill     = "kill"     // KillParams; answered at once, with Wait when the job has ended: KillResult
	MethodFreeze   = "freeze"   // JobParams; answered when all of the job is frozen
	MethodThaw     = "thaw"     // JobParams
	MethodLimit    = "limit"    // LimitParams, LimitResult
	MethodStat     = "stat"     // JobParams, StatResult
	MethodMark     = "mark"     // MarkParams, MarkResult
	MethodList     = "list"     // no parameters, ListResult
	MethodWait     = "wait"     // JobParams, JobEnded; answered when the job has ended
	MethodDetach   = "detach"   // JobParams, DetachResult
	MethodInput    = "input"    // InputParams; answered when the bytes are in the job's pipe or terminal
	MethodResize   = "resize"   // ResizeParams
	MethodOutput   = "output"   // OutputParams, OutputResult: what was kept
	MethodCredit   = "credit"   // CreditParams
	MethodForget   = "forget"   // JobParams: what was kept of a job that has ended
	MethodShutdown = "shutdown" // ShutdownParams; answered when all jobs have ended
)

// Notifications.
const (
	NoteStarted   = "started"   // JobStarted
	NoteStopped   = "stopped"   // JobStopped
	NoteContinued = "continued" // JobContinued
	NoteReady     = "ready"     // JobReady
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

// A Message is one line: a request (ID, Method), a notification (Method), or a
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
	ContainmentReason *string     `json:"containment_reason"`      // why jobs are held in this place, in one sentence; null: it is the only one, or the one that was named
	Cgroup            *string     `json:"cgroup"`                  // directory of the session
	CgroupBase64      []byte      `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	Controllers       []string    `json:"controllers"`             // that limits and numbers are to be had of
	Features          []string    `json:"features"`                // see SERVE.md
	MaxRequest        int         `json:"max_request"`             // bytes
	MaxInput          int         `json:"max_input"`               // bytes that may wait for a job: see MethodInput
}
