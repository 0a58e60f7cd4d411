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

// methods are all there are.
func methods() map[string]method {
	return map[string]method{
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
	wire.CloseAll(r.fds) // those that the method did not take
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
	do := r.v.methods[r.Method]
	switch {
	case do == nil:
		return nil, failure(protocol.CodeNoMethod, "method", "there is no method %q", r.Method)
	case r.v.phase == greeting && r.Method != protocol.MethodHello:
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
		return &protocol.Error{Code: protocol.CodeUnsupported, Message: cli.OneLine(err)}
	case !errors.As(err, &errno):
		return &protocol.Error{Code: protocol.CodeInternal, Message: cli.OneLine(err)}
	}
	e := &protocol.Error{Code: protocol.CodeSystem, Message: cli.OneLine(err), Data: &protocol.ErrorData{Errno: unix.ErrnoName(errno)}}
	switch errno {
	case unix.EAGAIN, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC:
		e.Code = protocol.CodeTooMany
	}
	return e
}

// notThere says whether an error of opening or executing means that there is no
// such file.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}
