package serve

import (
	"encoding/json"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pty"
	"github.com/seed-c1490a04/supervise/protocol"
)

// An input is a descriptor of a job that the owner writes to by the method input: a pipe, or
// the job's terminal. It never blocks: what finds no room waits here, and its request with it.
type input struct {
	fd       int // the end that we write to; -1: closed
	number   int // the number that it has in the job
	terminal bool

	queue []*inputRequest
	over  bool // its end was asked for
}

// maxInputs is how many requests may wait for a descriptor.
const maxInputs = 1024

// An inputRequest is a request whose bytes are not all in the pipe.
type inputRequest struct {
	id   json.RawMessage
	text []byte // what is left
	eof  bool
}

// input makes the pipe of a descriptor that is "input".
func (p *plan) input(i int) (int, error) {
	r, w, err := newPipe()
	if err != nil {
		return -1, err
	}
	unix.SetNonblock(w, true)
	p.mine, p.inputs = append(p.mine, r), append(p.inputs, &input{fd: w, number: i})
	return r, nil
}

// input is answered when all is in the job's pipe or terminal. It gives -32602 if the
// descriptor is none, -32003 if too much waits for the job, -32010 with EPIPE if the job has
// closed the pipe.
func (r *request) input() (any, error) {
	var p protocol.InputParams
	j, err := r.job(&p, &p.Job)
	if err != nil {
		return nil, err
	}
	in, err := j.input(p.FD)
	switch {
	case err != nil:
		return nil, err
	case p.Data != nil && p.Text != "":
		return nil, failure(protocol.CodeInvalidParams, "text", "want data or text, not both")
	case in.fd < 0 || in.over:
		return nil, in.broken()
	}
	text := append(p.Data, p.Text...)
	if j.waiting+len(text) > protocol.MaxInput && len(text) > 0 {
		return nil, failure(protocol.CodeTooMany, "data", "%d bytes of input wait for job %d already, and at most %d may", j.waiting, j.number, protocol.MaxInput)
	}
	if len(in.queue) >= maxInputs || r.ID != nil && (r.v.waits >= maxWaits || r.v.kept >= maxKept) {
		return nil, failure(protocol.CodeTooMany, "", "too many requests wait already")
	}
	in.over = p.EOF && !in.terminal
	in.take(j, r, text, p.EOF)
	return nil, nil
}

// input finds the job's input of a number.
func (j *job) input(number int) (*input, error) {
	isTerminal := 0 <= number && number < 3 // unless it is a pipe beside the terminal
	for _, in := range j.inputs {
		if in.number == number && !in.terminal {
			return in, nil
		}
	}
	for _, in := range j.inputs {
		if in.terminal && isTerminal {
			return in, nil
		}
	}
	if j.terminal != nil && isTerminal {
		return nil, failure(protocol.CodeUnsupported, "fd", "the owner has the master side of the terminal")
	}
	return nil, failure(protocol.CodeInvalidParams, "fd", "descriptor %d of job %d is no input", number, j.number)
}

// broken is the error for an input that the job does not read any more, or that has ended.
func (in *input) broken() *protocol.Error {
	e := failure(protocol.CodeSystem, "fd", "descriptor %d of the job is closed", in.number)
	e.Data.Errno = "EPIPE"
	return e
}

// take takes a request, and writes what there is room for.
func (in *input) take(j *job, r *request, text []byte, eof bool) {
	j.waiting += len(text)
	if r.late = true; r.ID != nil {
		j.v.waits++
		j.v.kept += len(r.ID)
	}
	in.queue = append(in.queue, &inputRequest{r.ID, text, eof})
	if len(in.queue) == 1 {
		in.write(j)
	}
}

// write writes what there is room for, and waits for more.
func (in *input) write(j *job) {
	for len(in.queue) > 0 {
		first := in.queue[0]
		switch n, err := in.writeSome(first.text); {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			in.watch(j, unix.EPOLLOUT)
			return
		case err != nil: // EPIPE; of a terminal EIO
			in.close(j)
			return
		default:
			first.text = first.text[n:]
			j.waiting -= n
		}
		if len(first.text) == 0 && !in.finish(j, first) {
			return
		}
	}
	if in.fd >= 0 {
		in.watch(j, 0)
	}
}

// writeSome writes some bytes. None at all are none to a pipe, and would be an end to a
// terminal.
func (in *input) writeSome(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err = unix.Write(in.fd, b)
	return max(0, n), err
}

// finish answers the first request of the queue, all of whose bytes are written, and ends the
// input if it said so. It is false if there is no room for that yet.
func (in *input) finish(j *job, first *inputRequest) bool {
	if first.eof && in.terminal {
		first.text, first.eof = []byte{endOfFile(in.fd)}, false
		j.waiting++
		return true
	}
	in.queue = in.queue[1:]
	j.v.settle(first, nil)
	if first.eof {
		in.close(j)
		return false
	}
	return true
}

// settle answers a request for input, if it has an id.
func (v *server) settle(one *inputRequest, err *protocol.Error) {
	if one.id != nil {
		v.waits--
		v.kept -= len(one.id)
		v.answer(one.id, struct{}{}, err, nil)
		v.conn.Flush()
	}
}

// watch has write called when there is room.
func (in *input) watch(j *job, events uint32) {
	err := j.v.poller.Watch(in.fd, events, func(uint32) { in.write(j) })
	j.v.failed = errors.Join(j.v.failed, err)
}

// close ends the input, once. The requests that wait learn that their bytes were not read.
func (in *input) close(j *job) {
	if in.fd < 0 {
		return
	}
	j.v.poller.Forget(in.fd)
	unix.Close(in.fd)
	in.fd = -1
	queue := in.queue
	in.queue = nil
	for _, one := range queue {
		j.waiting -= len(one.text)
		j.v.settle(one, in.broken())
	}
}

// endOfFile is the character that ends the input of a program which reads lines from the
// terminal.
func endOfFile(fd int) byte {
	if char, ok := pty.EOF(fd); ok {
		return char
	}
	return 'D' & 0x1f
}
