package clienttest

import (
	"encoding/json"
	"io"
	"syscall"
)

// An input is a descriptor that the method input writes to, or the keyboard of a terminal.
type input struct {
	job      *job
	fd       int
	terminal bool

	pipe  [][]byte // to be read; nil is an end of file that was typed
	size  int      // bytes in it
	queue []*inputRequest
	over  bool // nothing will follow what is in the queue

	signals []syscall.Signal // that were typed, and come behind the answer
}

// An inputRequest is one whose bytes are not all in the pipe.
type inputRequest struct {
	id   json.RawMessage
	text []byte
	eof  bool
}

// take takes a request, and answers it when all is in the pipe.
func (in *input) take(one *inputRequest) {
	in.job.waiting += len(one.text)
	in.queue = append(in.queue, one)
	in.fill()
}

// fill moves from the queue to the pipe what there is room for.
func (in *input) fill() {
	for len(in.queue) > 0 {
		one := in.queue[0]
		n := min(pipeSize-in.size, len(one.text))
		if n == 0 && len(one.text) > 0 {
			return
		}
		in.put(one.text[:n])
		in.job.waiting -= n
		if one.text = one.text[n:]; len(one.text) > 0 {
			continue
		}
		if one.eof && in.terminal {
			in.pipe = append(in.pipe, nil)
		}
		in.queue = in.queue[1:]
		in.job.c.settle(one.id, nil)
	}
	in.job.c.changed.Broadcast()
	for len(in.signals) > 0 {
		sig := in.signals[0]
		in.signals = in.signals[1:]
		in.job.signal(sig)
	}
}

// keys are those of a terminal that send a signal.
var keys = map[byte]syscall.Signal{'C' & 0x1f: syscall.SIGINT, '\\' & 0x1f: syscall.SIGQUIT, 'Z' & 0x1f: syscall.SIGTSTP}

// put puts bytes into the pipe; some keys of a terminal are signals.
func (in *input) put(b []byte) {
	var text []byte
	for _, char := range b {
		if sig := keys[char]; in.terminal && sig != 0 {
			in.signals = append(in.signals, sig)
		} else {
			text = append(text, char)
		}
	}
	if len(text) > 0 {
		in.pipe = append(in.pipe, text)
		in.size += len(text)
	}
}

// settle answers a request for input, if it has an id.
func (c *conversation) settle(id json.RawMessage, err error) {
	if id != nil {
		c.answer(id, done, protocolError(err))
	}
}

// Read is a program's. It blocks until there is something.
func (in *input) Read(b []byte) (n int, err error) {
	c := in.job.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(in.pipe) == 0 && !in.ended() && len(b) > 0 {
		c.changed.Wait()
	}
	if len(in.pipe) == 0 {
		if len(b) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	if in.pipe[0] == nil {
		in.pipe = in.pipe[1:]
		return 0, io.EOF
	}
	n = copy(b, in.pipe[0])
	in.size -= n
	if in.pipe[0] = in.pipe[0][n:]; len(in.pipe[0]) == 0 {
		in.pipe = in.pipe[1:]
	}
	in.fill()
	return n, nil
}

func (in *input) ended() bool { return in.job.over || in.over && len(in.queue) == 0 }

// close answers the requests that wait: the job reads no more.
func (in *input) close() {
	queue := in.queue
	in.queue, in.over = nil, true
	for _, one := range queue {
		in.job.waiting -= len(one.text)
		in.job.c.settle(one.id, broken(in.fd))
	}
}
