package protocol

import (
	"encoding/json"
	"time"
)

// RecordSchema names the layout of Record; a change that readers must know of
// changes the number.
const RecordSchema = "supervise.record/1"

// A Cause is why a job ended.
type Cause string

const (
	CauseExited      Cause = "exited"       // the main process exited
	CauseSignaled    Cause = "signaled"     // a signal that was not ours killed the main process
	CauseTimeout     Cause = "timeout"      // --timeout ran out
	CauseCPUTimeout  Cause = "cpu-timeout"  // --cpu-timeout was used up
	CauseOOM         Cause = "oom"          // the main process was killed for want of memory, or what was waited for: see Record.OOM
	CauseKilled      Cause = "killed"       // we were told to end the job
	CauseOwnerGone   Cause = "owner-gone"   // the owner's descriptor closed
	CauseStartFailed Cause = "start-failed" // the command was never executed
)

// A Containment is how a job is held; "", in JSON null, if it is not.
type Containment string

// MarshalJSON implements json.Marshaler.
func (c Containment) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(c))
}

const (
	ContainmentCgroup    Containment = "cgroup"
	ContainmentSubreaper Containment = "subreaper"
)

// A Record is the final word about a job. What is not known is null, never zero.
type Record struct {
	Schema  string `json:"schema"`  // RecordSchema
	Version string `json:"version"` // of the supervise that wrote it

	Name       *string  `json:"name"`                  // --name
	NameBase64 []byte   `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Argv       []string `json:"argv"`
	ArgvBase64 [][]byte `json:"argv_base64,omitempty"` // the bytes of each, if one is not UTF-8
	PID        *int     `json:"pid"`                   // of the main process; null if it never was

	Cgroup            *string     `json:"cgroup"`                  // directory of the job node
	CgroupBase64      []byte      `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	Containment       Containment `json:"containment"`             // null if it did not come to one
	ContainmentReason *string     `json:"containment_reason"`      // why it is held in this place, in one sentence; null: it is the only one, or the one that was named

	Started Time    `json:"started"`
	Ended   Time    `json:"ended"`  // nothing of the job was alive any more
	WallS   float64 `json:"wall_s"` // seconds between them, by the monotonic clock

	Exit  *Exit `json:"exit"` // of the main process; null if it never was
	Cause Cause `json:"cause"`

	CPU      CPU       `json:"cpu"`
	Memory   Memory    `json:"memory"`
	IO       IO        `json:"io"`
	Pids     Pids      `json:"pids"`
	Pressure Pressure  `json:"pressure"`
	Main     MainUsage `json:"main"`

	OOMKilled *bool `json:"oom_killed"` // a process of the job was killed for want of memory; null: not known
	OOM       *OOM  `json:"oom"`        // whose memory it was; null unless oom_killed is true

	Reaped int `json:"reaped"` // processes whose end was waited for, the main process included

	Phases     []Phase      `json:"phases"` // null without --marks
	Limits     []Limit      `json:"limits"`
	Unenforced []Unenforced `json:"unenforced"`

	Leftovers      []Leftover `json:"leftovers"`       // alive when the main process ended, 100 of them at most
	LeftoversTotal *int       `json:"leftovers_total"` // how many they were

	Error *string `json:"error"` // what went wrong on our side
}

// An Exit is how a process ended: Code or Signal, the other is null.
type Exit struct {
	Code   *int    `json:"code"`   // 0 to 255
	Signal *string `json:"signal"` // such as SIGKILL
	Core   bool    `json:"core"`   // a core was dumped
}

// A Leftover is a process that outlived the main process.
type Leftover struct {
	PID        int      `json:"pid"`
	Comm       string   `json:"comm"`                  // /proc/PID/stat, field 2
	CommBase64 []byte   `json:"comm_base64,omitempty"` // the bytes of comm, if they are not UTF-8
	Argv       []string `json:"argv"`                  // /proc/PID/cmdline; empty for a process that has none, is dying, or does not let it be read at once
	ArgvBase64 [][]byte `json:"argv_base64,omitempty"` // the bytes of each, if one is not UTF-8
	ArgvCut    bool     `json:"argv_cut"`              // argv is not all: it is cut after 4 KiB, or earlier where all leftovers have 64 KiB; its last element may be a part
	AgeS       *float64 `json:"age_s"`                 // seconds since it was forked
	RSSBytes   *int64   `json:"rss_bytes"`             // /proc/PID/stat, field 24; null if it is dying
}

// A Time is an instant, in JSON an RFC 3339 string in UTC with all nine digits
// of nanoseconds, so that records sort as text.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000000000Z07:00"

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &t.Time) }
