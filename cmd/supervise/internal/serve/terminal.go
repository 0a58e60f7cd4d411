package serve

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pty"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A terminal is that of a job, its controlling one. The server holds both sides: while it has
// the other one a read does not meet the end between two programs of the job.
type terminal struct {
	number int  // of the job's descriptor that was named first
	given  bool // the owner has the master side, and the server nothing
	master int  // -1: closed
	slave  int
}

// terminal makes the terminal of a job, or returns that which it has.
func (p *plan) pty(i int, spec *protocol.PTYSpec) (int, error) {
	t := p.terminal
	switch {
	case i > 2:
		return -1, failure(protocol.CodeInvalidParams, "", "pty: want it for descriptors 0, 1 and 2")
	case t != nil && *spec != (protocol.PTYSpec{}):
		return -1, failure(protocol.CodeInvalidParams, "", "pty: say what it is like for descriptor %d alone", t.number)
	case t != nil:
		return t.slave, nil
	case spec.Master && !p.v.conn.Rights():
		return -1, failure(protocol.CodeUnsupported, "", "descriptors travel over a stream socket of AF_UNIX alone")
	case spec.Master && (spec.Keep != 0 || spec.Window != 0 || spec.Text):
		return -1, failure(protocol.CodeInvalidParams, "", "pty: with master the owner alone reads")
	case spec.Window < 0 || spec.Window > maxCredit:
		return -1, failure(protocol.CodeInvalidParams, "", "window: want 1 to %d bytes", maxCredit)
	}
	master, slave, err := pty.Open(size(spec.Rows, 24), size(spec.Cols, 80))
	if err != nil {
		return -1, fmt.Errorf("opening a terminal: %w", err)
	}
	p.terminal = &terminal{i, spec.Master, master, slave}
	if spec.Master {
		p.give, p.pipes, p.mine = append(p.give, master), append(p.pipes, i), append(p.mine, slave)
		p.terminal.master = -1
		return slave, nil
	}
	return slave, p.watchTerminal(spec)
}

// size is a number of rows or columns, or the usual one.
func size(n, usual uint16) uint16 {
	if n == 0 {
		return usual
	}
	return n
}

// watchTerminal makes what the terminal prints an output, and what the owner types an input,
// which has a duplicate of the master side.
func (p *plan) watchTerminal(spec *protocol.PTYSpec) error {
	t := p.terminal
	unix.SetNonblock(t.master, true)
	o := &output{
		fd: t.master, number: 1, text: spec.Text,
		unlimited: spec.Keep == 0, wait: true, windowed: spec.Window > 0, credit: spec.Window,
	}
	p.outputs = append(p.outputs, o)
	keyboard, err := unix.FcntlInt(uintptr(t.master), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a terminal: %w", err)
	}
	p.inputs = append(p.inputs, &input{fd: keyboard, number: 0, terminal: true})
	return p.keep(o, spec.Keep)
}

// descriptor is the number of the terminal in the job; -1: there is none.
func (t *terminal) descriptor() int {
	if t == nil {
		return -1
	}
	return t.number
}

// close lets go of the slave side, when every process of the job is dead: what they have
// printed is read up to the end then.
func (t *terminal) close() {
	if t != nil && !t.given && t.slave >= 0 {
		unix.Close(t.slave)
		t.slave = -1
	}
}

// resize gives -32602 if the job has no terminal, -32008 if the owner has its master side.
func (r *request) resize() (any, error) {
	var p protocol.ResizeParams
	j, err := r.job(&p, &p.Job)
	switch {
	case err != nil:
		return nil, err
	case j.terminal == nil:
		return nil, failure(protocol.CodeInvalidParams, "job", "job %d has no terminal", j.number)
	case j.terminal.given:
		return nil, failure(protocol.CodeUnsupported, "job", "the owner has the master side of the terminal")
	case p.Rows == 0 || p.Cols == 0:
		return nil, failure(protocol.CodeInvalidParams, "rows", "want rows and cols, 1 to 65535")
	}
	return struct{}{}, pty.SetSize(j.terminal.slave, p.Rows, p.Cols)
}
