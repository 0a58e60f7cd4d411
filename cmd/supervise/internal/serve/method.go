package serve

import (
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// hello agrees on a version. A second hello, or no version that both speak, is -32001; in
// the latter case the owner may try again, as the phase stays. Any other request before
// it is refused in do.
func (r *request) hello() (any, error) {
	var p protocol.HelloParams
	if err := r.params(&p); err != nil {
		return nil, err
	}
	switch {
	case r.v.phase != greeting:
		return nil, failure(protocol.CodeHelloFirst, "method", "hello comes once")
	case !slices.Contains(p.Versions, protocol.ServeVersion):
		return nil, failure(protocol.CodeHelloFirst, "versions", "this is version %d of the protocol", protocol.ServeVersion)
	}
	r.v.phase = serving
	return r.v.describe(), nil
}

// describe lists the features: of the server, the connection and the place. Without a
// cgroup the last gives none; the owner learns the reason from containment_reason.
func (v *server) describe() *protocol.HelloResult {
	h := &protocol.HelloResult{
		Version: protocol.ServeVersion, Server: "supervise " + v.version, PID: unix.Getpid(),
		Containment: protocol.ContainmentSubreaper, ContainmentReason: record.Optional(v.place.Reason()),
		Controllers: append([]string{}, v.reported...), MaxRequest: protocol.MaxRequest, MaxInput: protocol.MaxInput,
		Features: []string{"base64", "input", "pty", "keep", "window", "text", "ready", "kill-wait", "pipeline"},
	}
	if v.conn.Rights() {
		h.Features = append(h.Features, "fds")
	}
	if s := v.place.Session(); s != nil {
		path := s.Path()
		h.Containment, h.Cgroup = protocol.ContainmentCgroup, &path
		// All of these are files of a cgroup, so they come together.
		h.Features = append(h.Features, "cgroup", "freeze", "limit", "stat", "pressure")
		if cgroup.Managed() {
			h.Features = append(h.Features, "detach")
		}
	}
	return h
}

// signal sends a signal to the main process or, with all, to every process. It gives
// -32004 if the job, or its main process, has ended; -32602 for an unknown signal; -32010
// with EPERM for a main process that has changed its user. What the signal does to a
// process is told after the answer, as the status is reaped in a later round of the loop.
func (r *request) signal() (any, error) {
	var p protocol.SignalParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	sig, err := signalOf(p.Signal, 0)
	if err != nil {
		return nil, err
	}
	return struct{}{}, j.signal(sig, p.All)
}

// signalOf reads a signal, by name or number. Without one it is the usual signal of the
// method; usual 0 means that the method has none, so that a missing signal is an error.
func signalOf(word string, usual unix.Signal) (unix.Signal, error) {
	if word == "" && usual != 0 {
		return usual, nil
	}
	sig, err := signals.Parse(word)
	if err != nil {
		return 0, failure(protocol.CodeInvalidParams, "signal", "signal %q: %v", word, err)
	}
	return sig, nil
}

// durationOf reads seconds. The bound keeps the product below the range of a
// time.Duration, some 292 years; the comparison is written so that NaN fails it. The
// least time is not 0, which would be none.
func durationOf(field string, seconds float64) (time.Duration, error) {
	const most = 100 * 365 * 24 * 3600
	if !(seconds >= 0 && seconds <= most) {
		return 0, failure(protocol.CodeInvalidParams, field, "%s: want seconds, 0 or more", field)
	}
	if seconds > 0 {
		return max(1, time.Duration(seconds*1e9)), nil
	}
	return 0, nil
}

// howToEnd reads what kill and shutdown say. No grace is 0, which is to kill at once; no
// signal is SIGTERM.
func howToEnd(grace *float64, signal string) (sig unix.Signal, d time.Duration, err error) {
	if grace != nil {
		if d, err = durationOf("grace", *grace); err != nil {
			return 0, 0, err
		}
	}
	sig, err = signalOf(signal, unix.SIGTERM)
	return sig, d, err
}

// kill ends a job. It gives -32004 and -32602, and -32003 for too many that wait. The job is
// stopped after the answer: it may end while it is being stopped, and its last notifications
// then follow the answer, as for a job that takes longer. With wait the answer is the last.
func (r *request) kill() (any, error) {
	var p protocol.KillParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	sig, grace, err := howToEnd(p.Grace, p.Signal)
	if err != nil {
		return nil, err
	}
	if p.Wait && r.ID != nil {
		if err := j.awaitEnd(r); err != nil {
			return nil, err
		}
	}
	r.after = func() { j.stop(protocol.CauseKilled, sig, grace) }
	return struct{}{}, nil
}

// freeze gives -32008 without a cgroup. The answer comes when the kernel reports every
// process of the job as frozen, or after 200 ms if one hangs in the kernel.
func (r *request) freeze() (any, error) { return r.setFrozen(true) }

// thaw gives -32008 without a cgroup. To thaw a job that is not frozen changes nothing.
func (r *request) thaw() (any, error) { return r.setFrozen(false) }

// setFrozen is freeze and thaw; -32004 if there is no such job.
func (r *request) setFrozen(frozen bool) (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	return struct{}{}, j.setFrozen(frozen)
}

// limit changes limits of a running job. It gives -32602 for an unknown name or a value
// that cannot be read, -32007 for a limit that cannot be had here, and -32008 without a
// cgroup. With best_effort the last two are listed in the answer instead.
func (r *request) limit() (any, error) {
	var p protocol.LimitParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	limits, err := limitsFrom(p.Limits)
	if err != nil {
		return nil, err
	}
	return j.limit(limits, p.BestEffort)
}

// stat tells what a job uses now. Its one error of its own is -32004: a counter that
// cannot be read is null.
func (r *request) stat() (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	return j.stat(), nil
}

// mark ends a phase, and answers with it. It gives -32008 without a cgroup, -32602 for a
// name that is too long, -32003 beyond record.MaxPhases.
func (r *request) mark() (any, error) {
	var p protocol.MarkParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	phase, err := j.mark(string(p.Name))
	if err != nil {
		return nil, err
	}
	return &protocol.MarkResult{Phase: *phase}, nil
}

// list answers with the jobs whose ended was not told. It takes no parameters and gives
// no error.
func (r *request) list() (any, error) {
	// An empty list, rather than null, where there are no jobs.
	result := &protocol.ListResult{Jobs: []protocol.JobState{}, Kept: r.v.archive.numbers()}
	for _, j := range r.v.all() {
		result.Jobs = append(result.Jobs, j.state())
	}
	return result, nil
}

// all returns the jobs in the order of their numbers, which is that of their starts.
func (v *server) all() []*job {
	return slices.SortedFunc(maps.Values(v.jobs), func(a, b *job) int { return a.number - b.number })
}

// wait is answered in (*job).ended, right behind the notification, so that an owner that
// waits has every notification of the job before the answer. It gives -32004 at once, or
// later if the job is detached, and -32003 beyond maxWaits. A wait without an id would
// never be answered, so it is not kept.
func (r *request) wait() (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil || r.ID == nil {
		return nil, err
	}
	v := r.v
	if err := r.keep(&j.waits, v.waits >= maxWaits || v.kept >= maxKept); err != nil {
		return nil, err
	}
	v.waits++
	return nil, nil
}

// shutdown ends all jobs, and is answered when the last one has ended. It gives -32602, and
// -32003 if it is not the first and there are too many. From here on spawn is refused,
// while other requests are carried out. A second shutdown may shorten the grace, as a job
// that is being stopped can be stopped anew.
func (r *request) shutdown() (any, error) {
	var p protocol.ShutdownParams
	if err := r.params(&p); err != nil {
		return nil, err
	}
	sig, grace, err := howToEnd(p.Grace, p.Signal)
	if err != nil {
		return nil, err
	}
	v := r.v
	if r.ID != nil {
		n := len(v.shutters)
		if err := r.keep(&v.shutters, n >= maxWaits || n > 0 && v.kept >= maxKept); err != nil {
			return nil, err
		}
	}
	// A shutdown never takes the phase back from parting or over.
	v.phase = max(v.phase, closing)
	// The phase is closing already: a job that ends while it is being stopped answers the
	// shutdowns, if it is the last.
	r.after = func() {
		if grace == 0 || sig == unix.SIGKILL {
			v.finish(protocol.CauseKilled)
			return
		}
		for _, j := range v.all() {
			j.stop(protocol.CauseKilled, sig, grace)
		}
		v.answerShutters()
	}
	return nil, nil
}
