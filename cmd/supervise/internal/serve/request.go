package serve

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
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds of what one owner may have. Waits and what is kept of jobs cost memory of the
// server alone, so no limit of the kernel's would bound them.
const (
	maxWaits = 65536 // and as many shutdowns
	maxJobs  = 100000
	maxKept  = 256 << 20 // bytes of argv and tags of all jobs, and ids of waits; one more may be beyond
)

// A request is a message of the owner's while it is carried out. A method sets late, give
// and after to say how its answer is to be sent.
type request struct {
	protocol.Message
	v *server
	// Both lists are owned by the request until a method takes them.
	fds  []int // descriptors that came with it; closed at its end
	give []int // descriptors that go with the answer; closed when sent
	late bool  // the method answers later; an error is answered at once

	wrong error  // with the line: there is nothing to be carried out
	after func() // what follows the answer; nil: nothing
	start *start // a spawn is answered by that; nil: it has failed, or the request is another
}

// A method carries out a request. An error that is no *protocol.Error gets its code in
// errorOf.
type method func(r *request) (result any, err error)

// methods are all there are. A function makes the map, as a package variable would be
// built at the start of every other command, too.
func methods() map[string]method {
	return map[string]method{
		protocol.MethodHello: (*request).hello, protocol.MethodSpawn: (*request).spawn, protocol.MethodSignal: (*request).signal,
		protocol.MethodKill: (*request).kill, protocol.MethodFreeze: (*request).freeze, protocol.MethodThaw: (*request).thaw,
		protocol.MethodLimit: (*request).limit, protocol.MethodStat: (*request).stat, protocol.MethodMark: (*request).mark,
		protocol.MethodList: (*request).list, protocol.MethodWait: (*request).wait, protocol.MethodDetach: (*request).detach,
		protocol.MethodShutdown: (*request).shutdown, protocol.MethodInput: (*request).input, protocol.MethodResize: (*request).resize,
		protocol.MethodOutput: (*request).output, protocol.MethodCredit: (*request).credit, protocol.MethodForget: (*request).forget,
	}
}

// request makes a request of a line.
func (v *server) request(line []byte) *request {
	r := &request{v: v}
	r.wrong = r.parse(line)
	return r
}

// mayGoOn says whether the request may be carried out now. Any but a spawn waits for the starts
// before it, and a spawn if they are many.
func (r *request) mayGoOn() bool {
	starts := len(r.v.starts)
	return starts == 0 || starts < maxStarts && r.wrong == nil && r.Method == protocol.MethodSpawn
}

// carryOut does what is asked for, and answers.
func (r *request) carryOut() {
	if r.wrong != nil {
		r.v.answer(r.ID, nil, errorOf(r.wrong), nil)
		return
	}
	result, err := r.do()
	switch {
	case r.start == nil && len(r.v.starts) > 0: // a spawn that has failed; the answers to others come before its own
		r.start = &start{r: r, err: err}
		fallthrough
	case r.start != nil:
		r.v.begin(r.start)
	default:
		r.reply(result, err)
	}
}

// reply sends the answer before it calls after: an owner learns the number of a job from the answer
// to spawn, and could not place a notification that came before it. An error means that nothing was
// done, so nothing follows.
func (r *request) reply(result any, err error) {
	// After the method: that starts the job, whose process has its duplicates from then
	// on.
	wire.CloseAll(r.fds)
	switch {
	// A notification of the owner's: its errors are not told either.
	case r.ID == nil:
		wire.CloseAll(r.give)
	// A late answer is sent by the method's own code, in a later round of the loop.
	case !r.late || err != nil:
		r.v.answer(r.ID, result, errorOf(err), r.give)
	}
	if r.after != nil && err == nil {
		r.after()
	}
}

// parse reads a line that should be a request. encoding/json would replace bytes that are
// no UTF-8, and a file name would silently be another: hence the check. The line is valid
// only until the next read, which is why the message is copied out of it. An id that is
// not allowed is answered with null.
func (r *request) parse(line []byte) error {
	if !utf8.Valid(line) {
		return failure(protocol.CodeParse, "", "the line is no UTF-8; such bytes go as {\"base64\":TEXT}")
	}
	if err := json.Unmarshal(line, &r.Message); err != nil {
		r.ID = nil
		// Valid JSON of another kind is a request that is wrong; a batch is among them.
		if json.Valid(line) {
			return failure(protocol.CodeInvalidRequest, "", "want one request a line, a JSON object: %v", err)
		}
		return failure(protocol.CodeParse, "", "the line is no JSON: %v", err)
	}
	// The first byte tells the kind of a JSON value.
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

// do calls the method. An unknown method is -32601 in every phase, which lets an owner
// probe for methods before hello.
func (r *request) do() (any, error) {
	do := r.v.methods[r.Method]
	switch {
	// Before the phase is looked at, for an owner that probes.
	case do == nil:
		return nil, failure(protocol.CodeNoMethod, "method", "there is no method %q", r.Method)
	case r.v.phase == greeting && r.Method != protocol.MethodHello:
		return nil, failure(protocol.CodeHelloFirst, "method", "hello comes first")
	}
	return do(r)
}

// params reads the parameters. Missing ones are the zero value, which each method then
// checks like an empty object. Unknown fields are ignored, for an owner that speaks a
// later minor version. The error names the field, -32602.
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

// keep keeps the id for a late answer; -32003 if there are too many.
func (r *request) keep(ids *[]json.RawMessage, tooMany bool) error {
	if tooMany {
		return failure(protocol.CodeTooMany, "", "too many requests wait for an end already")
	}
	*ids, r.late = append(*ids, r.ID), true
	r.v.kept += len(r.ID)
	return nil
}

// take takes the ids that are about to be answered.
func (v *server) take(ids *[]json.RawMessage) (taken []json.RawMessage) {
	taken, *ids = *ids, nil
	for _, id := range taken {
		v.kept -= len(id)
	}
	return taken
}

// job reads parameters, in which number lies, and finds the job that they name; -32004 if
// there is none or its end was told.
func (r *request) job(p any, number *int) (*job, error) {
	if err := r.params(p); err != nil {
		return nil, err
	}
	j := r.v.jobs[*number]
	if j == nil {
		return nil, failure(protocol.CodeNoJob, "job", "there is no job %d", *number)
	}
	return j, nil
}

// failure makes an error of the protocol; field "" is for one that no parameter causes.
func failure(code int, field, format string, args ...any) *protocol.Error {
	e := &protocol.Error{Code: code, Message: cli.Printable(fmt.Sprintf(format, args...))}
	if field != "" {
		e.Data = &protocol.ErrorData{Field: field}
	}
	return e
}

// errorOf finds the code for an error; nil stays nil. An error of the protocol keeps its
// code, whatever wraps it. What is left is a system call's, -32010, or -32003 where a
// later try may succeed, or the server's fault, -32603.
func errorOf(err error) *protocol.Error {
	var ours *protocol.Error
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, errors.ErrUnsupported):
		return &protocol.Error{Code: protocol.CodeUnsupported, Message: cli.OneLine(err)}
	case !errors.As(err, &errno):
		return &protocol.Error{Code: protocol.CodeInternal, Message: cli.OneLine(err)}
	}
	e := &protocol.Error{Code: protocol.CodeSystem, Message: cli.OneLine(err), Data: &protocol.ErrorData{Errno: unix.ErrnoName(errno)}}
	// What passes with time: processes and memory (EAGAIN, ENOMEM), descriptors, cgroups
	// (ENOSPC).
	switch errno {
	case unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC:
		e.Code = protocol.CodeTooMany
	}
	return e
}

// notThere says whether an error of opening or executing means that there is no such
// file. A path through a file that is no directory is ENOTDIR, and the same to the owner.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}
