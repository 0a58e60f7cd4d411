package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds of what one owner may have.
const (
	maxWaits = 65536
	maxJobs  = 100000
)

// A request is being carried out.
type request struct {
	protocol.Message
	v    *server
	fds  []int // that came with it
	give []int // that go with the answer
	late bool  // it is answered later

	after func() // what follows the answer; nil: nothing
}

// A method carries out a request.
type method func(r *request) (result any, err error)

var methods map[string]method

func init() {
	methods = map[string]method{
		protocol.MethodHello: (*request).hello, protocol.MethodSpawn: (*request).spawn, protocol.MethodSignal: (*request).signal,
		protocol.MethodKill: (*request).kill, protocol.MethodFreeze: (*request).freeze, protocol.MethodThaw: (*request).thaw,
		protocol.MethodLimit: (*request).limit, protocol.MethodStat: (*request).stat, protocol.MethodMark: (*request).mark,
		protocol.MethodList: (*request).list, protocol.MethodWait: (*request).wait, protocol.MethodDetach: (*request).detach,
		protocol.MethodShutdown: (*request).shutdown,
	}
}

// request carries out a line.
func (v *server) request(line []byte) {
	r := &request{v: v}
	if err := r.parse(line); err != nil {
		v.answer(r.ID, nil, errorOf(err), nil)
		return
	}
	result, err := r.do()
	wire.CloseAll(r.fds) // that nobody took
	switch {
	case r.ID == nil:
		wire.CloseAll(r.give)
	case !r.late || err != nil:
		v.answer(r.ID, result, errorOf(err), r.give)
	}
	if r.after != nil && err == nil {
		r.after()
	}
}

// parse reads a line that should be a request.
func (r *request) parse(line []byte) error {
	if !utf8.Valid(line) {
		return failure(protocol.CodeParse, "", "the line is no UTF-8")
	}
	if err := json.Unmarshal(line, &r.Message); err != nil {
		r.ID = nil
		if json.Valid(line) {
			return failure(protocol.CodeInvalidRequest, "", "want one request a line, a JSON object: %v", err)
		}
		return failure(protocol.CodeParse, "", "the line is no JSON: %v", err)
	}
	id := bytes.TrimSpace(r.ID)
	if string(id) == "null" || len(id) > 0 && id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9') {
		r.ID = nil
		return failure(protocol.CodeInvalidRequest, "id", "want an id that is a number or a string")
	}
	switch {
	case r.JSONRPC != "2.0":
		return failure(protocol.CodeInvalidRequest, "jsonrpc", `want "jsonrpc":"2.0"`)
	case r.Method == "":
		return failure(protocol.CodeInvalidRequest, "method", "want a method")
	}
	return nil
}

func (r *request) do() (any, error) {
	do := methods[r.Method]
	switch {
	case do == nil:
		return nil, failure(protocol.CodeNoMethod, "method", "there is no method %q", r.Method)
	case !r.v.greeted && r.Method != protocol.MethodHello:
		return nil, failure(protocol.CodeHelloFirst, "method", "hello comes first")
	}
	return do(r)
}

// params reads the parameters.
func (r *request) params(p any) error {
	if len(r.Params) == 0 {
		return nil
	}
	err := json.Unmarshal(r.Params, p)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		field := r.wrongField(wrong.Field)
		return failure(protocol.CodeInvalidParams, field, "%s: not to be a JSON %s", cmp.Or(field, "params"), wrong.Value)
	case err != nil:
		return failure(protocol.CodeInvalidParams, "", "the parameters: %v", err)
	}
	return nil
}

// wrongField finds which parameter is of the wrong type, where encoding/json names
// it from within one that reads itself, or not at all.
func (r *request) wrongField(inner string) string {
	var p struct {
		Stdio  []json.RawMessage
		Limits map[string]json.RawMessage
	}
	if json.Unmarshal(r.Params, &p) != nil {
		return inner
	}
	for i, one := range p.Stdio {
		var wrong *json.UnmarshalTypeError
		if err := json.Unmarshal(one, new(protocol.Stdio)); errors.As(err, &wrong) {
			return strings.TrimSuffix("stdio["+strconv.Itoa(i)+"]."+wrong.Field, ".")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		if json.Unmarshal(p.Limits[name], new(protocol.LimitValue)) != nil {
			return "limits." + name
		}
	}
	return inner
}

// job reads parameters and finds the job that they name.
func (r *request) job(p any, number *int) (*servedJob, error) {
	if err := r.params(p); err != nil {
		return nil, err
	}
	j := r.v.jobs[*number]
	if j == nil {
		return nil, failure(protocol.CodeNoJob, "job", "there is no job %d", *number)
	}
	return j, nil
}

// failure makes an error of the protocol.
func failure(code int, field, format string, args ...any) *protocol.Error {
	e := &protocol.Error{Code: code, Message: fmt.Sprintf(format, args...)}
	if field != "" {
		e.Data = &protocol.ErrorData{Field: field}
	}
	return e
}

// errorOf finds the code for an error; nil stays nil.
func errorOf(err error) *protocol.Error {
	var ours *protocol.Error
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, errors.ErrUnsupported):
		return &protocol.Error{Code: protocol.CodeUnsupported, Message: oneLine(err)}
	case !errors.As(err, &errno):
		return &protocol.Error{Code: protocol.CodeInternal, Message: oneLine(err)}
	}
	e := &protocol.Error{Code: protocol.CodeSystem, Message: oneLine(err), Data: &protocol.ErrorData{Errno: unix.ErrnoName(errno)}}
	switch errno {
	case unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC:
		e.Code = protocol.CodeTooMany
	}
	return e
}

func (r *request) hello() (any, error) {
	var p protocol.HelloParams
	if err := r.params(&p); err != nil {
		return nil, err
	}
	switch {
	case r.v.greeted:
		return nil, failure(protocol.CodeHelloFirst, "method", "hello comes once")
	case !slices.Contains(p.Versions, protocol.ServeVersion):
		return nil, failure(protocol.CodeHelloFirst, "versions", "this is version %d of the protocol", protocol.ServeVersion)
	}
	r.v.greeted = true
	return r.v.describe(), nil
}

// describe says what there is.
func (v *server) describe() *protocol.HelloResult {
	h := &protocol.HelloResult{
		Version: protocol.ServeVersion, Server: "supervise " + v.version, PID: unix.Getpid(),
		Containment: protocol.ContainmentSubreaper, ContainmentReason: optional(v.hold.reason),
		Controllers: append([]string{}, v.reported...), Features: []string{}, MaxRequest: protocol.MaxRequest,
	}
	if v.conn.Rights() {
		h.Features = append(h.Features, "fds")
	}
	if s := v.hold.session; s != nil {
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
	var sig unix.Signal
	if err := parseSignal(&sig, word); err != nil {
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
func (r *request) thaw() (any, error)   { return r.setFrozen(false) }

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
	set, unenforced, err := j.limit(limits, p.BestEffort)
	return &protocol.LimitResult{Limits: limitsOf(set), Unenforced: append([]protocol.Unenforced{}, unenforced...)}, err
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
func (v *server) all() []*servedJob {
	return slices.SortedFunc(maps.Values(v.jobs), func(a, b *servedJob) int { return a.number - b.number })
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
	v.closing, r.late = true, true
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

// notThere says whether an error of opening or executing means that there is no
// such file.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}
