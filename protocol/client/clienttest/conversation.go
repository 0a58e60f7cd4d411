package clienttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A conversation is one connection, and all that runs for it. Everything in it, its jobs and
// their descriptors included, is guarded by one mutex: programs and requests come from many
// goroutines, and none holds it while it waits.
type conversation struct {
	*Server
	mu      sync.Mutex
	changed *sync.Cond // something that a program, or the writer, waits for

	greeted, closing, over bool // hello was said; no more jobs; nothing more is said

	jobs     map[int]*job
	archive  []*job // those that have ended, of which output is kept, in the order of their ends
	last     int    // number of a job
	shutters []json.RawMessage

	queue    [][]byte // lines that are not written
	programs sync.WaitGroup
}

// Serve holds a conversation, and closes the connection. It returns when all jobs have ended,
// and their programs have returned: at the end of input, after a shutdown, or when nothing can
// be written any more.
func (s *Server) Serve(conn io.ReadWriteCloser) {
	c := &conversation{Server: s, jobs: map[int]*job{}}
	c.changed = sync.NewCond(&c.mu)
	var both sync.WaitGroup
	both.Go(func() { c.read(conn) })  // ends at the end of input, or when the writer has closed it
	both.Go(func() { c.write(conn) }) // ends when over, or when the client reads no more
	both.Wait()
	c.programs.Wait()
}

func (c *conversation) read(conn io.Reader) {
	r := bufio.NewReader(conn)
	for {
		line, long, err := readLine(r)
		c.mu.Lock()
		switch {
		case err != nil:
			c.finish()
		case c.over:
		case long:
			c.answer(nil, nil, failure(protocol.CodeTooLong, "", "the line is longer than %d bytes", protocol.MaxRequest))
		case len(bytes.TrimSpace(line)) > 0:
			c.request(line)
		}
		over := c.over
		c.mu.Unlock()
		if over {
			return
		}
	}
}

// readLine reads a line, and skips one that is too long.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > protocol.MaxRequest; !long {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}

// finish ends all jobs: there is no owner any more.
func (c *conversation) finish() {
	c.closing = true
	for _, j := range c.all() {
		j.kill(protocol.CauseOwnerGone)
	}
	c.answerShutters()
	c.over = true
	c.changed.Broadcast()
}

// answerShutters answers those who have asked for the end, when nothing runs any more.
func (c *conversation) answerShutters() {
	if !c.closing || len(c.jobs) > 0 {
		return
	}
	for _, id := range c.shutters {
		c.answer(id, struct{}{}, nil)
		c.over = true
	}
	c.shutters = nil
	c.changed.Broadcast()
}

func (c *conversation) write(conn io.WriteCloser) {
	defer conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.queue) == 0 && !c.over {
			c.changed.Wait()
		}
		if len(c.queue) == 0 {
			return
		}
		line := c.queue[0]
		c.queue = c.queue[1:]
		c.changed.Broadcast() // to programs that wait for it
		c.mu.Unlock()
		_, err := conn.Write(line)
		c.mu.Lock()
		if err != nil {
			c.finish()
			return
		}
	}
}

// say puts a message into the queue.
func (c *conversation) say(m protocol.Message) {
	m.JSONRPC = "2.0"
	line, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	c.queue = append(c.queue, append(line, '\n'))
	c.changed.Broadcast()
}

func (c *conversation) notify(method string, params any) {
	c.say(protocol.Message{Method: method, Params: marshal(params)})
}

// answer answers a request, unless it has no id. One that could not be read is answered to
// null.
func (c *conversation) answer(id json.RawMessage, result any, failed *protocol.Error) {
	m := protocol.Message{ID: id, Error: failed}
	if id == nil {
		m.ID = json.RawMessage("null")
	}
	if failed == nil {
		m.Result = marshal(result)
	}
	c.say(m)
}

func marshal(v any) json.RawMessage {
	b, err := protocol.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// A request is one while it is carried out.
type request struct {
	protocol.Message
	c    *conversation
	late bool // it is answered later
}

// request carries out a line.
func (c *conversation) request(line []byte) {
	r := &request{c: c}
	if failed := r.parse(line); failed != nil {
		c.answer(r.ID, nil, failed)
		return
	}
	do := methods[r.Method]
	var then func()
	var result any
	var err error
	switch {
	case do == nil:
		err = failure(protocol.CodeNoMethod, "method", "there is no method %q", r.Method)
	case !c.greeted && r.Method != protocol.MethodHello:
		err = failure(protocol.CodeHelloFirst, "method", "hello comes first")
	default:
		result, then, err = do(r)
	}
	failed := (*protocol.Error)(nil)
	errors.As(err, &failed)
	if r.ID != nil && (!r.late || failed != nil) {
		c.answer(r.ID, result, failed)
	}
	if then != nil && failed == nil {
		then()
	}
}

func (r *request) parse(line []byte) *protocol.Error {
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
	if len(id) > 0 && !bytes.ContainsAny(id[:1], `"-0123456789`) {
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

// params reads the parameters.
func (r *request) params(p any) error {
	if len(r.Params) == 0 {
		return nil
	}
	err := protocol.Unmarshal(r.Params, p)
	wrong := (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &wrong):
		field := r.wrongField(wrong.Field)
		return failure(protocol.CodeInvalidParams, field, "%s: not to be a JSON %s", field, wrong.Value)
	case err != nil:
		return failure(protocol.CodeInvalidParams, "", "the parameters: %v", err)
	}
	return nil
}

// wrongField finds the field of a descriptor, which encoding/json names from within it.
func (r *request) wrongField(inner string) string {
	var p struct{ Stdio []json.RawMessage }
	if json.Unmarshal(r.Params, &p) != nil {
		return inner
	}
	for i, one := range p.Stdio {
		wrong := (*json.UnmarshalTypeError)(nil)
		if errors.As(json.Unmarshal(one, new(protocol.Stdio)), &wrong) {
			field := fmt.Sprintf("stdio[%d]", i)
			if wrong.Field != "" {
				field += "." + wrong.Field
			}
			return field
		}
	}
	return inner
}

// job reads parameters, in which number is, and finds the job.
func (r *request) job(p any, number *int) (*job, error) {
	if err := r.params(p); err != nil {
		return nil, err
	}
	j := r.c.jobs[*number]
	if j == nil {
		return nil, failure(protocol.CodeNoJob, "job", "there is no job %d", *number)
	}
	return j, nil
}

// all are the jobs, the oldest first.
func (c *conversation) all() (all []*job) {
	for _, number := range slices.Sorted(maps.Keys(c.jobs)) {
		all = append(all, c.jobs[number])
	}
	return all
}

func failure(code int, field, format string, args ...any) *protocol.Error {
	e := &protocol.Error{Code: code, Message: fmt.Sprintf(format, args...)}
	if field != "" {
		e.Data = &protocol.ErrorData{Field: field}
	}
	return e
}
