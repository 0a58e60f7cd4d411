package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// wanted is what a record has to say. A signal (or SIGKILL), or a code.
type wanted struct {
	code        int
	signal      string
	cause       string
	left        int
	containment string
}

// check says what is not true in a record. One with an error may know less, but nothing that is wrong.
func (w wanted) check(r map[string]any) error {
	failed := r["error"] != nil
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("record: "+format, args...)) }
	exit, _ := r["exit"].(map[string]any)
	switch {
	case exit == nil && failed:
	case exit == nil:
		say("no exit")
	case w.signal != "" && exit["signal"] != "SIGKILL" && exit["signal"] != w.signal && !failed,
		w.signal == "" && exit["code"] != float64(w.code) && !failed:
		say("exit %v", exit)
	}
	if r["cause"] != w.cause && !failed {
		say("cause %v, want %s", r["cause"], w.cause)
	}
	if r["containment"] != w.containment {
		say("containment %v", r["containment"])
	}
	if left := r["leftovers_total"]; left != nil && left != float64(w.left) && !failed {
		say("%v leftovers, want %d", left, w.left)
	}
	between := func(least, most float64, path ...string) {
		var at any = r
		for _, name := range path {
			object, _ := at.(map[string]any)
			at = object[name]
		}
		if n, ok := at.(float64); ok && (n < least || n > most) && (!failed || n != 0) {
			say("%s is %v", strings.Join(path, "."), n)
		}
	}
	// No process is started in less than a microsecond of processor time, nor without a page.
	between(1e-6, 60, "wall_s")
	between(1e-6, 60, "cpu", "total_s")
	between(1, 1<<30, "main", "max_rss_bytes")
	between(1, 1e6, "main", "minor_faults")
	between(1, 10, "reaped")
	between(4096, 1<<34, "memory", "peak_bytes")
	between(1, 1000, "pids", "peak")
	return errors.Join(wrong...)
}

// The kinds of outcome.
const (
	asItShould = "job"    // as if nothing had failed
	refused    = "error"  // one line and 125, or an error in serve
	notRun     = "126"    // the program could not be executed, which is told as for any
	missed     = "missed" // the call was not made so often this time
	faulty     = "WRONG"  // what must not be
)

// judge says what became of a run. Status is of supervise; negative: a signal.
func (r *rig) judge(status int, stderr string) (verdict string, wrong error) {
	lines := strings.Count(stderr, "\n")
	if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, "runtime: ") || strings.Contains(stderr, "panic:") {
		return faulty, errors.New("a stack dump of Go's runtime")
	}
	one := strings.HasPrefix(stderr, "supervise") && lines == 1
	switch {
	case r.shot && status == -int(unix.SIGKILL):
		return asItShould, nil
	case status == r.s.status:
		if stderr != "" && !one {
			return faulty, fmt.Errorf("status %d with %d lines on stderr", status, lines)
		}
		if err := r.checkRecord(status); err != nil {
			return faulty, err
		}
		if r.cut {
			return faulty, errors.New("the server has gone without a word")
		}
		if r.refused {
			return refused, nil
		}
		return asItShould, nil
	case status == 125 && one, status == 1 && one && r.s.noFlag: // which is what the binary protocol says after an error
		return refused, r.checkRecord(status)
	case status == 125:
		return faulty, fmt.Errorf("status 125 with %d lines on stderr", lines)
	case (status == 126 || status == 127) && one && r.beforeExec():
		return notRun, r.checkRecord(status)
	}
	return faulty, fmt.Errorf("status %d", status)
}

// beforeExec says whether the fault is in finding or executing the program.
func (r *rig) beforeExec() bool {
	if r.fault == nil {
		return false
	}
	switch callName(r.fault.Call.Nr) {
	case "execve", "faccessat", "faccessat2", "newfstatat", "chdir":
		return true
	}
	return false
}

// checkRecord checks the record of run. At the job's own status there must be one.
func (r *rig) checkRecord(status int) error {
	if r.s.script == "" {
		return nil
	}
	text, err := os.ReadFile(r.record())
	if err != nil {
		if status == r.s.status {
			return fmt.Errorf("no record: %w", err)
		}
		return nil
	}
	if len(text) == 0 && status != r.s.status {
		return nil
	}
	var record map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		return fmt.Errorf("record %q: %w", text, err)
	}
	if status == 126 || status == 127 || record["cause"] == "start-failed" {
		return nil
	}
	return wanted{code: r.s.status, cause: r.s.cause, left: r.s.left, containment: r.s.containment(), signal: r.signal()}.check(record)
}

// signal is the one that ends the main process: by its timeout, before it has come to ignore SIGTERM, that.
func (r *rig) signal() string {
	if r.s.status == 124 {
		return "SIGTERM"
	}
	return ""
}

func (r *rig) record() string { return filepath.Join(r.dir, "record.json") }

// files lists what is left in the directory besides the files that were asked for.
func (r *rig) files() (strange []string) {
	entries, _ := os.ReadDir(r.dir)
	for _, e := range entries {
		switch e.Name() {
		case "record.json", "samples", "summary", "stderr":
		default:
			strange = append(strange, e.Name())
		}
	}
	return strange
}
