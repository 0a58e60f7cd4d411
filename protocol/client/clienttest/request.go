package clienttest

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A method carries out a request. What is to follow the answer it returns as a function.
type method func(r *request) (result any, then func(), err error)

var methods map[string]method

func init() { // the table refers to functions that look into it
	methods = map[string]method{
		protocol.MethodHello: (*request).hello, protocol.MethodSpawn: (*request).spawn, protocol.MethodSignal: (*request).signal,
		protocol.MethodKill: (*request).kill, protocol.MethodFreeze: (*request).freeze, protocol.MethodThaw: (*request).thaw,
		protocol.MethodLimit: (*request).limit, protocol.MethodStat: (*request).stat, protocol.MethodMark: (*request).mark,
		protocol.MethodList: (*request).list, protocol.MethodWait: (*request).wait, protocol.MethodDetach: (*request).detach,
		protocol.MethodShutdown: (*request).shutdown, protocol.MethodInput: (*request).input, protocol.MethodResize: (*request).resize,
		protocol.MethodOutput: (*request).output, protocol.MethodCredit: (*request).credit, protocol.MethodForget: (*request).forget,
	}
}

// maxWaits and maxMarks are bounds of the protocol.
const (
	maxMarks   = 1000
	maxSeconds = 100 * 365 * 24 * 3600
)

var done = struct{}{}

func (s *Server) inCgroup() bool { return s.Containment != protocol.ContainmentSubreaper }

// cgroup is null, or what stands for the directory of one.
func (s *Server) cgroup(name string) *string {
	if !s.inCgroup() {
		return nil
	}
	return new("/sys/fs/cgroup/clienttest" + name)
}

func (s *Server) features() []string {
	f := []string{"base64", "input", "pty", "keep", "window", "text", "ready", "kill-wait", "pipeline"}
	if s.Features != nil {
		return s.Features
	}
	if s.inCgroup() {
		f = append(f, "cgroup", "freeze", "limit", "stat")
	}
	return f
}

func (r *request) hello() (any, func(), error) {
	var p protocol.HelloParams
	if err := r.params(&p); err != nil {
		return nil, nil, err
	}
	switch {
	case r.c.greeted:
		return nil, nil, failure(protocol.CodeHelloFirst, "method", "hello was said")
	case !slices.Contains(p.Versions, protocol.ServeVersion):
		return nil, nil, failure(protocol.CodeHelloFirst, "versions", "want version %d", protocol.ServeVersion)
	}
	r.c.greeted = true
	h := protocol.HelloResult{
		Version: protocol.ServeVersion, Server: "supervise clienttest", PID: firstPID, Containment: protocol.ContainmentSubreaper,
		Controllers: []string{}, Features: r.c.features(), MaxRequest: protocol.MaxRequest, MaxInput: protocol.MaxInput,
	}
	if h.Cgroup = r.c.cgroup(""); h.Cgroup != nil {
		h.Containment = protocol.ContainmentCgroup
	}
	return h, nil, nil
}

func (r *request) signal() (any, func(), error) {
	var p protocol.SignalParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, nil, err
	}
	sig, err := signalOf(p.Signal, 0)
	return done, func() { j.signal(sig) }, err
}

// signalOf reads a signal; without one it is the usual one of the method, 0: there is none.
func signalOf(word string, usual syscall.Signal) (syscall.Signal, error) {
	if word == "" && usual != 0 {
		return usual, nil
	}
	if n, err := strconv.Atoi(word); err == nil && 0 < n && n <= 64 {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(word)
	for _, n := range []string{name, "SIG" + name} {
		if sig := unix.SignalNum(n); sig != 0 {
			return sig, nil
		}
	}
	return 0, failure(protocol.CodeInvalidParams, "signal", "signal: there is no %q", word)
}

func durationOf(field string, seconds float64) (time.Duration, error) {
	if !(seconds >= 0 && seconds <= maxSeconds) {
		return 0, failure(protocol.CodeInvalidParams, field, "%s: want seconds, 0 or more", field)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func howToEnd(grace *float64, signal string) (sig syscall.Signal, d time.Duration, err error) {
	if grace != nil {
		if d, err = durationOf("grace", *grace); err != nil {
			return 0, 0, err
		}
	}
	sig, err = signalOf(signal, syscall.SIGTERM)
	return sig, d, err
}

func (r *request) kill() (any, func(), error) {
	var p protocol.KillParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, nil, err
	}
	sig, grace, err := howToEnd(p.Grace, p.Signal)
	if err != nil {
		return nil, nil, err
	}
	if p.Wait && r.ID != nil {
		r.late = true
		j.killers = append(j.killers, r.ID)
	}
	return done, func() { j.stop(protocol.CauseKilled, sig, grace) }, nil
}

func (r *request) freeze() (any, func(), error) { return r.setFrozen(true) }
func (r *request) thaw() (any, func(), error)   { return r.setFrozen(false) }

func (r *request) setFrozen(frozen bool) (any, func(), error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err == nil {
		err = r.c.needCgroup("")
	}
	if err == nil {
		j.frozen = frozen
	}
	return done, nil, err
}

// needCgroup is the error for what is not to be had without one.
func (s *Server) needCgroup(field string) error {
	if s.inCgroup() {
		return nil
	}
	return failure(protocol.CodeUnsupported, field, "not without a cgroup")
}

func (r *request) limit() (any, func(), error) {
	var p protocol.LimitParams
	_, err := r.job(&p, &p.Job)
	if err == nil && !p.BestEffort {
		err = r.c.needCgroup("limits")
	}
	limits, unenforced := r.c.limits(p.Limits)
	return protocol.LimitResult{Limits: limits, Unenforced: unenforced}, nil, err
}

// limits are told as they were asked for.
func (s *Server) limits(asked map[string]protocol.LimitValue) ([]protocol.Limit, []protocol.Unenforced) {
	limits, unenforced := []protocol.Limit{}, []protocol.Unenforced{}
	for name, value := range asked {
		if s.inCgroup() {
			limits = append(limits, protocol.Limit{File: name, Value: string(value)})
		} else {
			unenforced = append(unenforced, protocol.Unenforced{Name: name, Reason: "not without a cgroup"})
		}
	}
	return limits, unenforced
}

func (r *request) stat() (any, func(), error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, nil, err
	}
	s := protocol.StatResult{JobState: j.state()}
	if r.c.inCgroup() {
		s.Procs = j.pids()
		s.Sample = &protocol.Sample{Time: now(), WallS: time.Since(j.started.Time).Seconds()}
	}
	return s, nil, nil
}

func (r *request) mark() (any, func(), error) {
	var p protocol.MarkParams
	j, err := r.job(&p, &p.Job)
	if err == nil {
		err = r.c.needCgroup("")
	}
	switch {
	case err != nil:
		return nil, nil, err
	case len(j.phases) >= maxMarks:
		return nil, nil, failure(protocol.CodeTooMany, "", "a job has at most %d marks", maxMarks)
	}
	ended := protocol.Phase{Name: j.phase, Started: j.phaseStarted, WallS: time.Since(j.phaseStarted.Time).Seconds()}
	j.phases = append(j.phases, ended)
	j.phase, j.phaseStarted = string(p.Name), now()
	return protocol.MarkResult{Phase: ended}, nil, nil
}

func (r *request) list() (any, func(), error) {
	l := protocol.ListResult{Jobs: []protocol.JobState{}, Kept: []int{}}
	for _, j := range r.c.all() {
		l.Jobs = append(l.Jobs, j.state())
	}
	for _, j := range r.c.archive {
		l.Kept = append(l.Kept, j.number)
	}
	return l, nil, nil
}

func (r *request) wait() (any, func(), error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err == nil && r.ID != nil {
		j.waits = append(j.waits, r.ID)
	}
	r.late = true
	return nil, nil, err
}

func (r *request) detach() (any, func(), error) {
	var p protocol.JobParams
	if _, err := r.job(&p, &p.Job); err != nil {
		return nil, nil, err
	}
	return nil, nil, failure(protocol.CodeUnsupported, "", "there is no systemd here")
}

func (r *request) shutdown() (any, func(), error) {
	var p protocol.ShutdownParams
	if err := r.params(&p); err != nil {
		return nil, nil, err
	}
	sig, grace, err := howToEnd(p.Grace, p.Signal)
	if err != nil {
		return nil, nil, err
	}
	c := r.c
	r.late, c.closing = true, true
	if r.ID != nil {
		c.shutters = append(c.shutters, r.ID)
	}
	return nil, func() {
		for _, j := range c.all() {
			j.stop(protocol.CauseKilled, sig, grace)
		}
		c.answerShutters()
		c.over = c.over || len(c.jobs) == 0
	}, nil
}

func protocolError(err error) *protocol.Error {
	e := (*protocol.Error)(nil)
	errors.As(err, &e)
	return e
}
