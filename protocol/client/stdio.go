package client

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// stdio is a command's descriptors while it is made, and the copying afterwards.
type stdio struct {
	list   []protocol.Stdio
	handed []*os.File     // to be sent, in order; they are the request's afterwards
	ours   []*os.File     // our ends of pipes that are copied
	user   []*os.File     // our ends of pipes that StdinPipe and so on returned; Wait closes them
	theirs []*os.File     // the job's ends of those, until they are handed
	copies []func() error // to be started when the job is
	passes bool           // descriptors can be passed
	copied chan error     // gets an error, or nil, of each copy; has room for all
	sinks  map[int]sink   // by descriptor, of what comes over the connection

	streams []starter   // what goes over the connection
	closers []io.Closer // those of them that are copied
}

// A starter learns which job it is of.
type starter interface{ start(c *Conn, j *job) }

var errPipeSet = errors.New("supervise: it is set already")

// StdinPipe returns a pipe to the job's standard input. Wait closes it; to end the
// input earlier, close it.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.Stdin != nil {
		return nil, errPipeSet
	}
	if !c.passes() {
		w := &inputWriter{}
		c.Stdin = inputEnd{w}
		return w, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdin = jobEnd{r}
	c.stdio.pipe(w, r)
	return w, nil
}

// StdoutPipe returns a pipe from the job's standard output. Wait closes it when the job
// has ended, so read all of it before. If it is not read, this job waits, and no other.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) { return c.outputPipe(&c.Stdout, 1) }

// StderrPipe returns a pipe from the job's standard error, see StdoutPipe.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) { return c.outputPipe(&c.Stderr, 2) }

func (c *Cmd) outputPipe(field *io.Writer, fd int) (io.ReadCloser, error) {
	if *field != nil {
		return nil, errPipeSet
	}
	if !c.passes() {
		s := newStream(fd)
		*field = streamEnd{s}
		return s, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	*field = jobEnd{w}
	c.stdio.pipe(r, w)
	return r, nil
}

// A jobEnd is the end of a pipe that only the job is to have.
type jobEnd struct{ *os.File }

// A streamEnd is Cmd.Stdout where that is read over the connection.
type streamEnd struct{ *stream }

func (streamEnd) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// An inputEnd is Cmd.Stdin where that is written over the connection.
type inputEnd struct{ *inputWriter }

func (inputEnd) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// passes says whether descriptors can be passed to the job. A command's own supervisor gets
// them.
func (c *Cmd) passes() bool { return c.conn == nil || c.conn.fds && c.conn.Has("fds") }

func (s *stdio) pipe(user, theirs *os.File) {
	s.user = append(s.user, user)
	s.theirs = append(s.theirs, theirs)
}

// prepare makes the descriptors of the job. On an error nothing is left open that it
// has opened.
func (c *Cmd) prepare() error {
	s := &c.stdio
	s.sinks, s.passes = map[int]sink{}, c.passes()
	if c.Pty != nil {
		return c.preparePty()
	}
	err := s.addReader(c.Stdin)
	if err == nil {
		err = s.addWriter(c.Stdout)
	}
	if err == nil && c.Stderr != nil && same(c.Stdout, c.Stderr) {
		s.list = append(s.list, protocol.Stdio{Dup: new(1)})
	} else if err == nil {
		err = s.addWriter(c.Stderr)
	}
	for _, f := range c.ExtraFiles {
		if err == nil {
			err = s.addFile(f)
		}
	}
	if err != nil {
		s.undo()
	}
	return err
}

// same is == for values that may not be comparable.
func same(a, b any) bool {
	defer func() { recover() }()
	return a == b
}

func (s *stdio) addReader(r io.Reader) error {
	switch r := r.(type) {
	case nil:
		return s.addFile(nil)
	case jobEnd:
		s.hand(r.File)
	case inputEnd:
		s.addInput(r.inputWriter)
	default:
		f, file := r.(*os.File)
		switch {
		case !s.passes:
			w := &inputWriter{fd: len(s.list)}
			s.addInput(w)
			s.copyOver(w, func() error { return copyIn(w, r) })
			return nil
		case file:
			return s.addFile(f)
		}
		theirs, ours, err := os.Pipe()
		if err != nil {
			return err
		}
		s.hand(theirs)
		s.copy(ours, func() error { return copyIn(ours, r) })
	}
	return nil
}

func (s *stdio) addInput(w *inputWriter) {
	s.streams = append(s.streams, w)
	s.list = append(s.list, protocol.Stdio{Input: true})
}

// addStream has a descriptor read over the connection.
func (s *stdio) addStream(o *stream) {
	s.add(o, protocol.Stdio{Capture: &protocol.CaptureSpec{Limit: -1, Window: streamWindow}})
	s.streams = append(s.streams, o)
}

// add has the next descriptor of the job come over the connection.
func (s *stdio) add(to sink, spec protocol.Stdio) {
	s.sinks[len(s.list)] = to
	s.list = append(s.list, spec)
}

// copyOver copies over the connection. Close ends it if it goes on for too long.
func (s *stdio) copyOver(c io.Closer, f func() error) {
	s.closers = append(s.closers, c)
	s.copies = append(s.copies, f)
}

func (s *stdio) addWriter(w io.Writer) error {
	switch w := w.(type) {
	case nil:
		return s.addFile(nil)
	case jobEnd:
		s.hand(w.File)
	case *Capture:
		s.add(w, protocol.Stdio{Capture: w.spec()})
	case *Kept:
		w.fd = len(s.list)
		s.add(w, protocol.Stdio{Capture: &protocol.CaptureSpec{Keep: w.size()}})
		s.streams = append(s.streams, w)
	case streamEnd:
		s.addStream(w.stream)
	default:
		f, file := w.(*os.File)
		switch {
		case !s.passes:
			o := newStream(len(s.list))
			s.addStream(o)
			s.copyOver(o, func() error { return copyOut(w, o) })
			return nil
		case file:
			return s.addFile(f)
		}
		ours, theirs, err := os.Pipe()
		if err != nil {
			return err
		}
		s.hand(theirs)
		s.copy(ours, func() error { return copyOut(w, ours) })
	}
	return nil
}

// addFile hands over a duplicate: the file stays the caller's, which may close it at any
// time.
func (s *stdio) addFile(f *os.File) error {
	if f == nil {
		s.list = append(s.list, protocol.Stdio{Null: true})
		return nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "dup", Path: f.Name(), Err: err}
	}
	s.hand(os.NewFile(uintptr(fd), f.Name()))
	return nil
}

func (s *stdio) hand(f *os.File) {
	s.list = append(s.list, protocol.Stdio{FD: new(len(s.handed))})
	s.handed = append(s.handed, f)
}

func (s *stdio) copy(ours *os.File, f func() error) {
	s.ours = append(s.ours, ours)
	s.copies = append(s.copies, f)
}

// copyIn ends when the reader does, or the job has closed its end. The job not wanting
// all of it is no error.
func copyIn(w io.WriteCloser, r io.Reader) error {
	_, err := io.Copy(w, r)
	w.Close()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// copyOut ends when no process of the job has the other end any more.
func copyOut(w io.Writer, r io.ReadCloser) error {
	_, err := io.Copy(w, r)
	r.Close() // if the writer has failed, the job gets SIGPIPE, or the rest is dropped
	return err
}

// start begins to copy. Each goroutine ends as its function says; finish waits for it.
func (s *stdio) start(c *Conn, j *job) {
	for _, one := range s.streams {
		one.start(c, j)
	}
	s.copied = make(chan error, len(s.copies))
	for _, f := range s.copies {
		go func() { s.copied <- f() }()
	}
}

// finish waits for the copying, if delay is not 0 for so long at most, and returns
// the first error.
func (s *stdio) finish(delay time.Duration) error {
	var timeout <-chan time.Time
	if delay > 0 && len(s.copies) > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		timeout = timer.C
	}
	var first error
	for range s.copies {
		select {
		case err := <-s.copied:
			first = errors.Join(first, err)
		case <-timeout:
			closeAll(s.ours) // ends those that read or write the pipe
			closeAll(s.user)
			s.closeOver()
			return exec.ErrWaitDelay
		}
	}
	closeAll(s.user)
	return first
}

// closeOver ends those that copy over the connection.
func (s *stdio) closeOver() {
	for _, c := range s.closers {
		c.Close()
	}
}

// take hands over the files to be sent. The receiver closes them.
func (s *stdio) take() []*os.File {
	files := s.handed
	s.handed, s.theirs = nil, nil
	return files
}

// undo closes everything that is still ours, as nothing was started.
func (s *stdio) undo() {
	closeAll(s.handed)
	closeAll(s.theirs)
	closeAll(s.ours)
	closeAll(s.user)
}
