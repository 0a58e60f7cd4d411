package run

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pty"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
)

// A relay stands between the job, which leads a session on a pseudo-terminal of its own
// (--pty), and the standard input and output of supervise:
//
//	standard input ──> keys ───> master ══ slave: 0, 1, 2 and the controlling
//	standard output <── shown <──┘                terminal of the job
//
// Each way has one buffer, and more is read only when that is empty: a reader that is slow
// slows the job, by the kernel's buffer of the terminal, and a job that does not read stops
// the reading of standard input.
//
// A terminal at standard input is made raw while the job runs: its keys, Ctrl-C and Ctrl-Z
// among them, are bytes for the job's terminal, whose modes decide what they mean. It is
// the process that the shell knows which does all that: one in another group could not read the
// terminal.
//
// The slave stays open here, too. So reading the master does not fail while the job has
// closed its terminal and may open it anew, and one can see whether the job has taken what
// was typed. The end of the output is where nothing is left to read after the job's end: a
// read of the master waits for what the kernel is yet to hand over (flush_to_ldisc).
type relay struct {
	master, slave int // -1: hung up
	in, out       wire.End
	careful       bool         // writing to out may block
	ended         bool         // standard input has
	edges         *wire.Poller // the job has read, or has changed its modes; nil: not watched
	ends          int          // of the input that were typed in raw mode, one after the other
	keys, shown   []byte       // what is in the buffers
	keyBuf        [bufferSize]byte
	shownBuf      [bufferSize]byte

	modes  *unix.Termios // of the terminal at standard input, before it was made raw; nil: there is none
	raw    bool          // it was made raw
	behind *wire.Poller  // something was typed at it, while this process is in the background; nil: it is not
	window int           // descriptor of the terminal whose size the job's has; -1: none
	key    unix.Signal   // the last one from the keyboard, of a terminal that is not raw

	progress *progress // shown between what the job writes; nil: it is not
	last     byte      // that was written; 0: none
	wrote    bool      // something since the progress was drawn

	s        *supervisor.Supervisor
	caught   *signals.Caught
	asked    bool // this process was, to end
	finished bool
}

// bufferSize is what fits into a pipe that poll(2) calls writable (PIPE_BUF), so that
// writing does not block. The master gives no more at once either.
const bufferSize = 4096

// openRelay makes the job's terminal.
func openRelay(c *commandLine) (*relay, error) {
	r := &relay{window: -1}
	rows, cols := r.size(c)
	var err error
	if r.master, r.slave, err = pty.Open(rows, cols); err != nil {
		return nil, err
	}
	unix.SetNonblock(r.master, true) // nobody else has it
	if err := r.setModes(); err != nil {
		return nil, os.NewSyscallError("ioctl TCSETS", err)
	}
	r.in, r.out = openStandard(0, unix.O_RDONLY), openStandard(1, unix.O_WRONLY)
	r.careful = r.out.FD() == 1 && (isPipe(1) || isTerminal(1))
	return r, nil
}

// setModes gives the job's terminal the modes of the one at standard input; but while this
// process is in the background those are the shell's, for its own line editor. Where there
// is none, the job's does not echo what is typed: that would come out as output.
func (r *relay) setModes() error {
	modes, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err == nil {
		r.modes = modes
		if !r.ours() {
			return nil
		}
	} else if modes, err = unix.IoctlGetTermios(r.slave, unix.TCGETS); err == nil {
		modes.Lflag &^= unix.ECHO
	}
	if err != nil {
		return err
	}
	return unix.IoctlSetTermios(r.slave, unix.TCSETS, modes)
}

// openStandard opens a terminal once more, as wire.Open does with a pipe: this process is
// not to wait for one that is stopped, and the flags are others' as well. A master
// (TIOCGPTN) would be opened as another one.
func openStandard(fd, access int) wire.End {
	if _, err := unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil && isTerminal(fd) {
		own, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), access|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			fd = own
		}
	}
	return wire.Open(fd, access)
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// connect has the loop copy.
func (r *relay) connect(s *supervisor.Supervisor, caught *signals.Caught) {
	r.s, r.caught = s, caught
	if r.modes != nil && !r.ours() {
		r.goBehind()
	}
	s.Terminal, s.Heard = r, r.heard
	s.Inputs = append(s.Inputs,
		supervisor.Input{FD: r.in.FD(), Events: when(unix.POLLIN, r.wantsKeys), Read: r.readKeys},
		supervisor.Input{FD: r.master, Events: r.masterEvents, Read: r.copy},
		supervisor.Input{FD: r.out.FD(), Events: when(unix.POLLOUT, func() bool { return len(r.shown) > 0 }), Read: r.copy})
}

func when(events int16, wanted func() bool) func() int16 {
	return func() int16 {
		if wanted() {
			return events
		}
		return 0
	}
}

func (r *relay) wantsKeys() bool { return !r.ended && r.behind == nil && len(r.keys) == 0 }

func (r *relay) masterEvents() (events int16) {
	if len(r.keys) > 0 {
		events |= unix.POLLOUT
	}
	if len(r.shown) == 0 {
		events |= unix.POLLIN
	}
	return events
}

// Suspend implements supervisor.Terminal: the job has stopped on its own terminal, where
// its shell sees to that.
func (r *relay) Suspend(int, unix.Signal) {}

// Resume implements supervisor.Terminal. The shell has put its own modes in place while
// this process was stopped, and the window may have another size.
func (r *relay) Resume(int) {
	r.comeToFront()
	r.makeRaw()
	r.resize()
}

// goBehind leaves the terminal at standard input to the shell, which has this process in
// the background. There is no signal that tells of the way back, if the process was not
// stopped: the first line that is typed then does. An edge for each line is all that is
// waited for, as those before it are read by others.
func (r *relay) goBehind() {
	p, err := wire.NewPoller()
	if err == nil {
		err = p.Watch(r.in.FD(), unix.EPOLLIN|unix.EPOLLET, func(uint32) {})
	}
	if err != nil {
		r.ended = true // without the memory for that there are no keys
		return
	}
	r.behind = p
	r.s.Inputs = append(r.s.Inputs, supervisor.Input{FD: p.FD(), Read: func() (more bool) {
		p.Dispatch()
		r.comeToFront()
		return r.behind == p
	}})
}

// comeToFront takes the terminal, if it is this process's again.
func (r *relay) comeToFront() {
	if r.behind == nil || !r.ours() {
		return
	}
	r.s.Drop(r.behind.FD())
	r.behind.Close()
	r.behind = nil
	r.takeFront()
}

// takeFront makes the terminal raw that has become this process's again.
func (r *relay) takeFront() {
	if modes, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil && !r.raw {
		r.modes = modes // those from the start may be the shell's own
	}
	r.makeRaw()
	r.resize()
}

// heard notes a signal, which may come when the job is just over.
func (r *relay) heard(s signals.Signal) {
	r.asked = r.asked || asksToEnd(s)
	if s.Kernel && (s.Signal == unix.SIGINT || s.Signal == unix.SIGQUIT) {
		r.key = s.Signal
	}
}

// Reached implements supervisor.Terminal: a change of the window's size is handed on by
// the size of the job's terminal.
func (r *relay) Reached(_ int, s signals.Signal) bool {
	if s.Signal == unix.SIGTSTP { // see progress.heard
		return true
	}
	if s.Signal != unix.SIGWINCH || r.window < 0 {
		return false
	}
	r.resize()
	return true
}
