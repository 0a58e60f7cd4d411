package integration

import (
	"encoding/json"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A record is what --record writes: schema supervise.record/1. Pointers are what may be null.
type record struct {
	Schema            string     `json:"schema"`
	Version           string     `json:"version"`
	Name              string     `json:"name"`
	Argv              []string   `json:"argv"`
	PID               *int       `json:"pid"`
	Cgroup            *string    `json:"cgroup"`
	Containment       string     `json:"containment"`
	ContainmentReason *string    `json:"containment_reason"`
	Started           *string    `json:"started"`
	Ended             *string    `json:"ended"`
	WallS             *float64   `json:"wall_s"`
	Exit              *exit      `json:"exit"`
	Cause             string     `json:"cause"`
	CPU               *cpu       `json:"cpu"`
	Reaped            *int       `json:"reaped"`
	Leftovers         []leftover `json:"leftovers"`
	Limits            []struct{ Name, File, Value string }
	Unenforced        []struct{ Name, Reason string }
	Error             *string `json:"error"`
}

type exit struct {
	Code   *int    `json:"code"`
	Signal *string `json:"signal"`
	Core   bool    `json:"core"`
}

type cpu struct {
	UserS   *float64 `json:"user_s"`
	SystemS *float64 `json:"system_s"`
}

type leftover struct {
	PID      int      `json:"pid"`
	Comm     string   `json:"comm"`
	Argv     []string `json:"argv"`
	ArgvCut  bool     `json:"argv_cut"`
	AgeS     *float64 `json:"age_s"`
	RSSBytes *int64   `json:"rss_bytes"`
}

// An outcome is what a process has left behind when it has ended.
type outcome struct {
	t      *testing.T
	code   int            // exit status, -1 if a signal ended it
	signal syscall.Signal // 0 if it exited
	stdout string
	stderr string
	took   time.Duration // from its start
	record *record       // nil if there is none
}

// wait waits for the end of the process, bounded by its deadline. Unless the test SIGKILLed it, no descendant may be left at
// the moment it has ended: the leak pipe is at EOF and nothing was re-parented to us.
func (p *proc) wait() outcome {
	t := p.box.t
	t.Helper()
	<-p.done
	patience := time.Duration(0)
	if p.killed.Load() {
		patience = killPatience
	}
	if !atEOF(p.leak, patience) {
		t.Errorf("%q has ended, but descendants have not: %s", p.argv, describe(descendants()))
		p.box.abort()
	}
	if !p.killed.Load() {
		p.checkStrays()
	} else if err := p.box.settle(killPatience); err != nil {
		t.Error(err)
		p.box.abort()
	}
	return p.outcome()
}

// checkStrays fails for processes and zombies that a supervise that ended by itself has left to us.
func (p *proc) checkStrays() {
	p.box.t.Helper()
	if strays := p.box.strays(); len(strays) > 0 {
		p.box.t.Errorf("%q has ended, but left: %s", p.argv, describe(strays))
	}
}

func (p *proc) outcome() outcome {
	o := outcome{t: p.box.t, took: p.ended.Sub(p.start)}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	o.code = status.ExitStatus()
	if status.Signaled() {
		o.signal = status.Signal()
	}
	o.stdout, o.stderr = p.stdout.rest(p.box.t), p.stderr.rest(p.box.t)
	if data, err := os.ReadFile(p.record); err == nil && p.record != "" {
		o.record = decodeRecord(p.box.t, data)
	}
	return o
}

// decodeRecord reads the JSON of a record and checks what is true of all.
func decodeRecord(t *testing.T, data []byte) *record {
	t.Helper()
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		t.Errorf("record: %v: %q", err, data)
		return nil
	}
	if r.Schema != "supervise.record/1" {
		t.Errorf("record: schema %q", r.Schema)
	}
	for _, stamp := range []*string{r.Started, r.Ended} {
		if stamp == nil {
			continue
		}
		if _, err := time.Parse(time.RFC3339Nano, *stamp); err != nil {
			t.Errorf("record: %v", err)
		}
	}
	return &r
}

// wantCode checks the exit status, with the output for who reads the failure.
func (o outcome) wantCode(code int) {
	o.t.Helper()
	if o.code != code {
		o.t.Errorf("exit status %d (signal %v), want %d; stdout: %q, stderr: %q", o.code, o.signal, code, tail(o.stdout), tail(o.stderr))
	}
}

// wantRecord checks that there is a record with this containment and cause, and returns it.
func (o outcome) wantRecord(c containment, cause string) *record {
	o.t.Helper()
	if o.record == nil {
		o.t.Fatalf("no record; stderr: %q", tail(o.stderr))
	}
	if o.record.Containment != string(c) {
		o.t.Errorf("record: containment %q, want %q", o.record.Containment, c)
	}
	if o.record.Cause != cause {
		o.t.Errorf("record: cause %q, want %q", o.record.Cause, cause)
	}
	return o.record
}

// hasLeftover reports whether a process of this name is among the leftovers.
func (r *record) hasLeftover(comm string) bool {
	return slices.ContainsFunc(r.Leftovers, func(l leftover) bool { return l.Comm == comm })
}

// tail shortens a long text to its two ends: a crash of a Go program begins with its reason.
func tail(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most/2] + " [...] " + s[len(s)-most/2:]
	}
	return s
}

// wantExit checks that the record says the main process ended with this status.
func (r *record) wantExit(t *testing.T, code int) {
	t.Helper()
	if r.Exit == nil || r.Exit.Code == nil || *r.Exit.Code != code || r.Exit.Signal != nil {
		t.Errorf("record: exit %s, want code %d", orNull(r.Exit), code)
	}
}

// wantSignal checks that the record says the main process was ended by this signal.
func (r *record) wantSignal(t *testing.T, name string) {
	t.Helper()
	if r.Exit == nil || r.Exit.Signal == nil || *r.Exit.Signal != name || r.Exit.Code != nil {
		t.Errorf("record: exit %s, want %s", orNull(r.Exit), name)
	}
}

func (e exit) String() string {
	return "{code " + orNull(e.Code) + ", signal " + orNull(e.Signal) + "}"
}
