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

// describe says what there is.
func (v *server) describe() *protocol.HelloResult {
	h := &protocol.HelloResult{
		Version: protocol.ServeVersion, Server: "supervise " + v.version, PID: unix.Getpid(),
		Containment: protocol.ContainmentSubreaper, ContainmentReason: record.Optional(v.place.Reason()),
		Controllers: append([]string{}, v.reported...), Features: []string{}, MaxRequest: protocol.MaxRequest,
	}
	if v.conn.Rights() {
		h.Features = append(h.Features, "fds")
	}
	if s := v.place.Session(); s != nil {
		path := s.Path()
		h.Containment, h.Cgroup = protocol.ContainmentCgroup, &path
		h.Features = append(h.Features, "cgroup", "freeze", "limit", "stat", "pressure")
		if cgroup.Managed() {
			h.Features = append(h.Features, "detach")
		}
	}
	return h
}

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

// signalOf reads a signal; without a word it is the one that is usual, if any.
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

// durationOf reads seconds.
func durationOf(field string, seconds float64) (time.Duration, error) {
	const most = 100 * 365 * 24 * 3600
	if !(seconds >= 0 && seconds <= most) {
		return 0, failure(protocol.CodeInvalidParams, field, "%s: want seconds, 0 or more", field)
	}
	return time.Duration(seconds * 1e9), nil
}

// howToEnd reads what kill and shutdown say.
func howToEnd(grace *float64, signal string) (sig unix.Signal, d time.Duration, err error) {
	if grace != nil {
		if d, err = durationOf("grace", *grace); err != nil {
			return 0, 0, err
		}
	}
	sig, err = signalOf(signal, unix.SIGTERM)
	return sig, d, err
}

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
	r.after = func() { j.stop(protocol.CauseKilled, sig, grace) }
	return struct{}{}, nil
}

func (r *request) freeze() (any, error) { return r.setFrozen(true) }

func (r *request) thaw() (any, error) { return r.setFrozen(false) }

func (r *request) setFrozen(frozen bool) (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	return struct{}{}, j.setFrozen(frozen)
}

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

func (r *request) stat() (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	return j.stat(), nil
}

func (r *request) mark() (any, error) {
	var p protocol.MarkParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	phase, err := j.mark(p.Name)
	if err != nil {
		return nil, err
	}
	return &protocol.MarkResult{Phase: *phase}, nil
}

func (r *request) list() (any, error) {
	result := &protocol.ListResult{Jobs: []protocol.JobState{}}
	for _, j := range r.v.all() {
		result.Jobs = append(result.Jobs, j.state())
	}
	return result, nil
}

// all returns the jobs in the order of their numbers.
func (v *server) all() []*job {
	return slices.SortedFunc(maps.Values(v.jobs), func(a, b *job) int { return a.number - b.number })
}

func (r *request) wait() (any, error) {
	var p protocol.JobParams
	j, err := r.job(&p, &p.Job)
	if err != nil || r.ID == nil {
		return nil, err
	}
	if r.v.waits >= maxWaits {
		return nil, failure(protocol.CodeTooMany, "", "there are %d waits already", r.v.waits)
	}
	r.v.waits++
	j.waits = append(j.waits, r.ID)
	r.late = true
	return nil, nil
}

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
	v.phase, r.late = max(v.phase, closing), true
	if r.ID != nil {
		v.shutters = append(v.shutters, r.ID)
	}
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
