package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A sink takes what a job writes to a descriptor, as the supervisor sends it. The loop
// calls it, so it never blocks.
type sink interface {
	take(b []byte)
	// end says that the job has ended, or the connection (err). Of a descriptor whose
	// output was not counted it gets the zero OutputEnd.
	end(e protocol.OutputEnd, err error)
}

// streamWindow is how many bytes a stream holds that were not read, in bytes: what a slow
// reader costs. As much again may come when the job ends: see "Output by a window".
const streamWindow = 256 << 10

// A stream is a descriptor of a job that is read over the connection, for one that does not
// carry descriptors, or for a terminal. The job waits while the window is full.
type stream struct {
	conn *Conn // from Start on, as the two that follow
	job  *job
	fd   int // the job's

	reading sync.Mutex    // one Read at a time
	changed chan struct{} // has room for one: there is more, or the end

	mu      sync.Mutex // the loop writes, callers read
	text    bytes.Buffer
	taken   int64 // bytes that were read, and not given back
	ended   error // io.EOF, or why the connection has ended
	dropped bool  // Close was called
}

func newStream(fd int) *stream { return &stream{fd: fd, changed: make(chan struct{}, 1)} }

// start says which job it is about.
func (s *stream) start(c *Conn, j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.job = c, j
}

func (s *stream) started() *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.job
}

func (s *stream) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stream) take(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dropped {
		s.text.Write(b)
		s.change()
	}
}

func (s *stream) end(_ protocol.OutputEnd, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = io.EOF
	if err != nil {
		s.ended = err
	}
	s.change()
}

// Read implements io.Reader. io.EOF comes when the job has ended.
func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	j := s.started()
	if j == nil {
		return 0, errNotStarted
	}
	n, back, err := s.some(p)
	if n == 0 && err == nil && len(p) > 0 {
		defer s.conn.holds(j)()
		for n == 0 && err == nil {
			<-s.changed
			n, back, err = s.some(p)
		}
	}
	if back > 0 {
		s.credit(back)
	}
	return n, err
}

// some takes what is there, and says how much is to be given back: rather once than for
// every byte.
func (s *stream) some(p []byte) (n int, back int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dropped:
		return 0, 0, os.ErrClosed
	case s.text.Len() == 0:
		return 0, 0, s.ended
	}
	n, _ = s.text.Read(p)
	if s.taken += int64(n); s.taken >= streamWindow/2 {
		back, s.taken = s.taken, 0
	}
	return n, back, nil
}

// credit gives bytes back. If the job has ended since, or the connection, it does not matter.
func (s *stream) credit(n int64) {
	s.conn.tell(protocol.MethodCredit, protocol.CreditParams{Job: s.job.spawned.Job, FD: &s.fd, Bytes: n})
}

// Close implements io.Closer. What the job writes from now on is dropped; a job whose output
// comes by a descriptor would get SIGPIPE.
func (s *stream) Close() error {
	const all = 1 << 49 // the job does not wait any more
	s.mu.Lock()
	again, running := s.dropped, s.job != nil && s.ended == nil
	s.dropped = true
	s.text.Reset()
	s.change()
	s.mu.Unlock()
	switch {
	case again:
		return os.ErrClosed
	case running:
		s.credit(all)
	}
	return nil
}

// An inputWriter writes to a descriptor of a job over the connection, where that does not
// carry descriptors, or to a terminal.
type inputWriter struct {
	conn *Conn // from Start on, as the two that follow
	job  *job
	fd   int // the job's

	writing sync.Mutex // one Write at a time: little waits in the supervisor
	mu      sync.Mutex
	closed  bool
}

// maxWrite is how much input goes with one request, in bytes: as much as a pipe holds.
const maxWrite = 64 << 10

func (w *inputWriter) start(c *Conn, j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn, w.job = c, j
	if w.closed {
		w.tellEOF()
	}
}

// Write implements io.Writer. It returns when all is in the job's pipe, or terminal; the
// error is syscall.EPIPE when the job does not read any more.
func (w *inputWriter) Write(p []byte) (n int, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), maxWrite)]
		if err = w.send(part); err == nil {
			n += len(part)
			p = p[len(part):]
		}
	}
	return n, err
}

// ReadFrom implements io.ReaderFrom: io.Copy would need two requests where one will do.
func (w *inputWriter) ReadFrom(r io.Reader) (n int64, err error) {
	part := make([]byte, maxWrite)
	for err == nil {
		var m int
		m, err = r.Read(part)
		if m > 0 {
			written, failed := w.Write(part[:m])
			n += int64(written)
			err = cmp.Or(failed, err)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (w *inputWriter) send(part []byte) error {
	w.mu.Lock()
	j, closed := w.job, w.closed
	w.mu.Unlock()
	switch {
	case closed:
		return os.ErrClosed
	case j == nil:
		return errNotStarted
	}
	err := w.conn.Call(context.Background(), protocol.MethodInput, protocol.InputParams{Job: j.spawned.Job, FD: w.fd, Data: part}, nil)
	return brokenPipe(err)
}

// Close implements io.Closer: what was written is the end of the job's input.
func (w *inputWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	if w.closed = true; w.job != nil {
		w.tellEOF()
	}
	return nil
}

// tellEOF does not wait for the answer: before it the job has to read what was written.
func (w *inputWriter) tellEOF() {
	select {
	case <-w.job.ended:
		return
	default:
	}
	w.conn.tell(protocol.MethodInput, protocol.InputParams{Job: w.job.spawned.Job, FD: w.fd, EOF: true})
}

// tell sends a request whose answer does not matter.
func (c *Conn) tell(method string, params any) error {
	line, err := encode(0, method, params)
	if err != nil {
		return err
	}
	return c.do(context.Background(), &call{method: method, line: line, done: make(chan struct{})})
}

// holds tells the loop that a caller waits for news of a job, until done is called: unread
// events would otherwise hold them up for ever.
func (c *Conn) holds(j *job) (done func()) {
	select {
	case c.waits <- j:
	case <-j.ended:
		return func() {}
	}
	return func() {
		select {
		case c.leaves <- j:
		case <-j.ended:
		}
	}
}

// needs refuses what the supervisor has not said that it has.
func (c *Conn) needs(feature string) error {
	if c.Has(feature) {
		return nil
	}
	return fmt.Errorf("supervise: the supervisor (%s) does not offer %q: %w", c.hello.Server, feature, errors.ErrUnsupported)
}
