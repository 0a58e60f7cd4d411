package client

import (
	"errors"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Pty as Cmd.Pty gives the job a terminal of its own, for its descriptors 0, 1 and 2 alike:
// Ctrl-C, job control, /dev/tty and SIGWINCH work as ever. Set TERM in Cmd.Env; else it is what
// the supervisor has.
//
// What Cmd.Stdin has is typed, and then the end-of-file character. Cmd.Stdout gets what the
// terminal prints: anything but a *Capture. Where they are nil, Write types, and Read returns
// what is printed; it must be called, for the job waits when 256 KiB were not read.
//
// The methods may be called by several goroutines, once Start has returned. It is for one job.
type Pty struct {
	Rows, Cols uint16 // 24 and 80 if 0

	cmd  *Cmd
	out  *stream // nil: Cmd.Stdout has it
	keys *inputWriter
}

// preparePty makes a terminal of the job's descriptors.
func (c *Cmd) preparePty() error {
	s, p := &c.stdio, c.Pty
	spec := &protocol.PTYSpec{Rows: p.Rows, Cols: p.Cols}
	if err := c.ptyStdout(spec); err != nil {
		return err
	}
	s.list = []protocol.Stdio{{PTY: spec}, {PTY: &protocol.PTYSpec{}}, {PTY: &protocol.PTYSpec{}}}
	p.cmd, p.keys = c, &inputWriter{}
	s.streams = append(s.streams, p.keys)
	switch r := c.Stdin.(type) {
	case nil:
	case jobEnd, inputEnd:
		return errors.New("supervise: StdinPipe with a Pty: write to the Pty")
	default:
		typed := &inputWriter{} // its end is no end of what Pty.Write types
		s.streams = append(s.streams, typed)
		s.copyOver(typed, func() error { return copyIn(typed, r) })
	}
	var err error
	for _, f := range c.ExtraFiles {
		if err == nil {
			err = s.addFile(f)
		}
	}
	return err
}

// ptyStdout says what gets that which the terminal prints, as descriptor 1.
func (c *Cmd) ptyStdout(spec *protocol.PTYSpec) error {
	s := &c.stdio
	if c.Stderr != nil && !same(c.Stdout, c.Stderr) {
		return errors.New("supervise: Stderr with a Pty: the terminal is one, and Stdout gets all of it")
	}
	switch w := c.Stdout.(type) {
	case *Kept:
		w.fd, spec.Keep = 1, w.size()
		s.sinks[1], s.streams = w, append(s.streams, w)
		return nil
	case *Capture, jobEnd, streamEnd:
		return errors.New("supervise: with a Pty Stdout is to be a Writer, or read from the Pty")
	}
	out := newStream(1)
	spec.Window = streamWindow
	s.sinks[1], s.streams = out, append(s.streams, out)
	if w := c.Stdout; w != nil {
		s.copyOver(out, func() error { return copyOut(w, out) })
	} else {
		c.Pty.out = out
	}
	return nil
}

// Read implements io.Reader: what the job prints. io.EOF comes when the job has ended.
func (p *Pty) Read(b []byte) (int, error) {
	switch {
	case p.cmd == nil:
		return 0, errNotStarted
	case p.out == nil:
		return 0, errPipeSet
	}
	return p.out.Read(b)
}

// Write implements io.Writer: it types. "\x03" is Ctrl-C, "\r" is Enter.
func (p *Pty) Write(b []byte) (int, error) {
	if p.cmd == nil {
		return 0, errNotStarted
	}
	return p.keys.Write(b)
}

// TypeEOF types the end-of-file character: at the beginning of a line it ends the input of a
// program that reads lines.
func (p *Pty) TypeEOF() error {
	if p.cmd == nil {
		return errNotStarted
	}
	return brokenPipe(p.cmd.control(protocol.MethodInput, protocol.InputParams{Job: p.cmd.Job(), EOF: true}, nil))
}

// Resize sets the size. The job's foreground processes get SIGWINCH.
func (p *Pty) Resize(rows, cols uint16) error {
	if p.cmd == nil {
		return errNotStarted
	}
	return p.cmd.control(protocol.MethodResize, protocol.ResizeParams{Job: p.cmd.Job(), Rows: rows, Cols: cols}, nil)
}
