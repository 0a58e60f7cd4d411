package clienttest

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// firstPID is more than a process can have (PID_MAX_LIMIT is 4194304): a test that sends a
// signal to one of ours harms no process.
const firstPID = 5_000_000

const sigterm = syscall.SIGTERM

func now() protocol.Time { return protocol.Time{Time: time.Now()} }

// A job is one of a conversation, whose mutex guards it.
type job struct {
	c *conversation
	*protocol.SpawnParams
	number  int
	name    string
	argv    []string
	started protocol.Time
	grace   time.Duration
	sig     syscall.Signal

	processes  []*Process
	inputs     map[int]*input
	outputs    map[int]*output
	duplicates []duplicate
	rows, cols uint16 // of the terminal; 0: there is none
	waiting    int    // bytes of input

	limits       []protocol.Limit
	unenforced   []protocol.Unenforced
	phases       []protocol.Phase
	phase        string
	phaseStarted protocol.Time

	cause            protocol.Cause // "": it was not ended by its owner or a limit
	frozen, stopped  bool
	ready, over      bool
	timeout, killing *time.Timer
	waits, killers   []json.RawMessage
	killed           []protocol.KilledProcess
}

// A duplicate is a descriptor that is another one as well.
type duplicate struct {
	fd int
	to io.ReadWriter
}

func (j *job) pid() int { return j.processes[0].PID }

func (j *job) pids() (all []int) {
	for _, p := range j.processes {
		if p.exit == nil {
			all = append(all, p.PID)
		}
	}
	return all
}

func (j *job) promised() (n int64) {
	for _, o := range j.outputs {
		n += o.keep
	}
	return n
}

func (c *conversation) promised() (n int64) {
	for _, j := range c.jobs {
		n += j.promised()
	}
	return n
}

// start starts the programs. Each ends when its function returns; Serve waits for it.
func (j *job) start() {
	j.c.notify(protocol.NoteStarted, protocol.JobStarted{Job: j.number, PID: j.pid(), Name: j.name, Time: j.started})
	if j.Timeout > 0 {
		d, _ := durationOf("", j.Timeout)
		j.timeout = j.c.after(d, func() { j.stop(protocol.CauseTimeout, j.sig, j.grace) })
	}
	j.wire()
	for _, p := range j.processes {
		j.c.programs.Go(p.run)
	}
}

// wire gives the programs their standard descriptors, with pipes between them.
func (j *job) wire() {
	var before io.Reader = j.fd(0)
	for i, p := range j.processes {
		p.Stdin, p.Stdout, p.Stderr = before, j.fd(1), j.fd(2)
		if i < len(j.processes)-1 {
			r, w := io.Pipe()
			p.Stdout, before = w, r
			p.closers = append(p.closers, w)
			j.processes[i+1].closers = append(j.processes[i+1].closers, r)
		}
	}
}

// after calls a function later, unless the timer is stopped.
func (c *conversation) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	})
}

// fd is a descriptor of the job's.
func (j *job) fd(n int) io.ReadWriter {
	if d := j.descriptor(n); d != nil {
		return d
	}
	return null{}
}

// descriptor is nil for /dev/null.
func (j *job) descriptor(n int) io.ReadWriter {
	in, out := j.inputs[n], j.outputs[n]
	if j.rows > 0 && n < 3 {
		in, out = j.inputs[0], j.outputs[1]
	}
	for _, d := range j.duplicates {
		if d.fd == n {
			return d.to
		}
	}
	switch {
	case in != nil && out != nil:
		return struct {
			io.Reader
			io.Writer
		}{in, out}
	case in != nil:
		return struct {
			io.Reader
			null
		}{in, null{}}
	case out != nil:
		return struct {
			io.Writer
			ender
		}{out, ender{}}
	}
	return nil
}

// ender is a descriptor that cannot be read.
type ender struct{}

func (ender) Read([]byte) (int, error) { return 0, io.EOF }

// null is /dev/null.
type null struct{ ender }

func (null) Write(b []byte) (int, error) { return len(b), nil }

func (j *job) state() protocol.JobState {
	s := protocol.JobState{
		Job: j.number, PID: j.pid(), Name: j.name, Tags: j.tags(), State: protocol.StateRunning,
		Frozen: j.frozen, Cgroup: j.c.cgroup("/" + j.name), Started: j.started,
	}
	if j.cause != "" {
		s.State = protocol.StateStopping
	}
	return s
}

// tags is never null.
func (j *job) tags() map[string]string {
	if j.Tags == nil {
		return map[string]string{}
	}
	return j.Tags
}

// stop sends a signal, and ends the job after a grace period.
func (j *job) stop(cause protocol.Cause, sig syscall.Signal, grace time.Duration) {
	if j.over {
		return
	}
	j.cause = cmp.Or(j.cause, cause)
	j.frozen = false
	if j.killing != nil {
		j.killing.Stop()
	}
	if grace == 0 || sig == syscall.SIGKILL {
		j.kill(cause)
		return
	}
	j.killing = j.c.after(grace, func() { j.kill(cause) })
	j.signal(sig)
}

// kill ends the job at once.
func (j *job) kill(cause protocol.Cause) {
	if j.over {
		return
	}
	j.cause = cmp.Or(j.cause, cause)
	for _, pid := range j.pids() {
		j.killed = append(j.killed, protocol.KilledProcess{PID: pid, Comm: j.name})
	}
	for _, p := range j.processes {
		p.finish(Signaled(syscall.SIGKILL))
	}
}

// signal sends a signal to all programs.
func (j *job) signal(sig syscall.Signal) {
	for _, p := range slices.Clone(j.processes) {
		if !j.over {
			p.signal(sig)
		}
	}
}

// end tells that the job has ended, when all its programs have.
func (j *job) end() {
	if j.over || len(j.pids()) > 0 {
		return
	}
	exit := exitOf(j.processes[0].exit)
	var commands []protocol.CommandEnd
	for _, p := range j.processes {
		if *p.exit != 0 {
			exit = exitOf(p.exit)
		}
		if len(j.Pipeline) > 0 {
			commands = append(commands, protocol.CommandEnd{PID: new(p.PID), Exit: exitOf(p.exit)})
		}
	}
	j.over = true
	for _, t := range []*time.Timer{j.timeout, j.killing} {
		if t != nil {
			t.Stop()
		}
	}
	delete(j.c.jobs, j.number)
	j.c.notify(protocol.NoteExited, protocol.ProcessExited{Job: j.number, PID: j.pid(), Main: true, Exit: *exit, Time: now()})
	for _, in := range j.inputs {
		in.close()
	}
	ended := protocol.JobEnded{Job: j.number, Tags: j.Tags, Output: j.closeOutputs(), Commands: commands, Record: j.record(exit)}
	j.c.notify(protocol.NoteEnded, ended)
	for _, id := range j.waits {
		j.c.answer(id, ended, nil)
	}
	for _, id := range j.killers {
		killed := append([]protocol.KilledProcess{}, j.killed...)
		j.c.answer(id, protocol.KillResult{JobEnded: ended, Killed: killed, KilledTotal: new(len(killed))}, nil)
	}
	if j.promised() > 0 {
		j.c.archive = append(j.c.archive, j)
	}
	j.c.answerShutters()
	j.c.changed.Broadcast()
}

func (j *job) closeOutputs() (ends []protocol.OutputEnd) {
	for fd := range maxStdio {
		if o := j.outputs[fd]; o != nil {
			o.close()
			ends = append(ends, o.end())
		}
	}
	return ends
}

func (j *job) record(exit *protocol.Exit) *protocol.Record {
	cause := j.cause
	if cause == "" {
		cause = protocol.CauseExited
		if exit.Signal != nil {
			cause = protocol.CauseSignaled
		}
	}
	r := &protocol.Record{
		Schema: protocol.RecordSchema, Version: "clienttest", Name: &j.name, Argv: j.argv, PID: new(j.pid()),
		Cgroup: j.c.cgroup("/" + j.name), Containment: protocol.ContainmentCgroup,
		Started: j.started, Ended: now(), WallS: time.Since(j.started.Time).Seconds(), Exit: exit, Cause: cause, Reaped: len(j.processes),
		Phases: j.phases, Limits: j.limits, Unenforced: j.unenforced, Leftovers: []protocol.Leftover{}, LeftoversTotal: new(0),
	}
	if r.Cgroup == nil {
		r.Containment = protocol.ContainmentSubreaper
	}
	return r
}

// Signaled is the end by a signal.
func Signaled(sig syscall.Signal) Exit { return Exit(-int(sig)) }

func exitOf(e *Exit) *protocol.Exit {
	if *e < 0 {
		return &protocol.Exit{Signal: new(unix.SignalName(syscall.Signal(-*e)))}
	}
	return &protocol.Exit{Code: new(int(*e) & 0xff)}
}
