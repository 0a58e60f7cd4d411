package run

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/pty"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
)

// maxChunks bounds how long the loop copies without looking for anything else.
const maxChunks = 16

// copy copies both ways as much as there is room for.
func (r *relay) copy() (more bool) {
	if len(r.keys) > 0 {
		r.typeKeys()
	}
	for range maxChunks {
		if !r.show() {
			break
		}
	}
	return r.master >= 0
}

// readKeys takes what is to be typed. An error is an end as well, of a terminal that was
// hung up; but from the background it cannot be read.
func (r *relay) readKeys() (more bool) {
	var n int
	var err error
	if read := func() { n, err = r.in.Read(r.keyBuf[:]) }; r.modes == nil {
		read()
	} else {
		fromBehind(read)
	}
	switch {
	case err == unix.EIO && !r.ours():
		r.goBehind()
		return true
	case err == unix.EAGAIN || err == unix.EINTR:
		return true
	case err != nil || n == 0 && r.in.Ended():
		r.ended = true
		r.watchEnd()
		return false
	}
	r.keys = r.keyBuf[:max(n, 0)]
	if r.modes != nil && hasLines(0) { // it has come to the front unnoticed, or a shell has put its own modes back
		r.raw = false
		r.takeFront()
	}
	r.typeKeys()
	return true
}

// typeKeys types what there is room for. What cannot be typed is dropped: the terminal is
// hung up then.
func (r *relay) typeKeys() {
	n, err := unix.Write(r.master, r.keys)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		r.keys = nil
	default:
		r.keys = r.keys[n:]
	}
}

// watchEnd has the end of the input typed. The kernel tells when the job reads from its
// terminal, also when it reads an end, by waking up who waits for room in the master
// (n_tty_check_unthrottle); and when it changes the modes, by waking up who waits for the
// slave (n_tty_set_termios). For that one must be waiting for edges (EPOLLET).
func (r *relay) watchEnd() {
	p, err := wire.NewPoller()
	if err != nil {
		r.typeEnd()
		return
	}
	edge := uint32(unix.EPOLLOUT | unix.EPOLLET)
	if errors.Join(p.Watch(r.master, edge, func(uint32) {}), p.Watch(r.slave, edge, func(uint32) {})) != nil {
		p.Close()
		r.typeEnd()
		return
	}
	r.edges = p
	r.s.Inputs = append(r.s.Inputs, supervisor.Input{FD: p.FD(), Read: r.typeEnd})
}

// maxRawEnds is how often the end is typed for a program that reads keys, not lines. It
// leaves by the first (bash, python), or has another use for it, and is not to be fed for
// ever (less, vim). More than one are there for a program within a program, and because
// the modes may change between the look and the key.
const maxRawEnds = 4

// typeEnd types the end-of-file character once the job has taken all that came before. For
// a program that reads lines there is always one, so that whoever reads is at the end, as
// of a file: half a line takes one for itself (termios(3)), and each program one. What was
// typed for lines and is then read as keys is a NUL, hence the wait until it was taken.
func (r *relay) typeEnd() (more bool) {
	if r.edges != nil {
		r.edges.Dispatch()
	}
	if r.master < 0 || len(r.keys) > 0 || ready(r.slave, unix.POLLIN) {
		return r.master >= 0
	}
	char, lines := pty.EOF(r.slave)
	switch {
	case lines:
		r.ends = 0
	case r.ends == maxRawEnds:
		return true
	default:
		r.ends++
	}
	if r.keys = append(r.keyBuf[:0], char); char == 0 { // none is set
		r.keys = nil
		return true
	}
	r.typeKeys()
	return true
}

// ready is poll(2) without waiting. An error counts as ready: the call that follows has it.
func ready(fd int, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil
}

// show writes what the job has written, a chunk of it. It returns whether there may be
// more, and room for it.
func (r *relay) show() (more bool) {
	if r.master < 0 || len(r.shown) == 0 && !r.readShown() {
		return false
	}
	if r.careful && !ready(r.out.FD(), unix.POLLOUT) {
		return false
	}
	r.progress.isNext()
	n, err := r.out.Write(r.shown)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false
	case err != nil:
		r.hangUp()
		return false
	}
	if n > 0 {
		r.last, r.wrote = r.shown[n-1], true
	}
	if r.shown = r.shown[n:]; len(r.shown) > 0 {
		return false
	}
	r.progress.isWritten()
	return true
}

// readShown reads from the master. EIO says that the slave was hung up by a process of the
// job (vhangup(2)).
func (r *relay) readShown() bool {
	n, err := unix.Read(r.master, r.shownBuf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false
	case err != nil || n == 0:
		r.hangUp()
		return false
	}
	r.shown = r.shownBuf[:n]
	return true
}

// hangUp closes the terminal, where nobody is left at the other side of standard output:
// as if a window was closed. The kernel sends SIGHUP to the job's session leader and to its
// foreground process group, and reading and writing fail from then on.
func (r *relay) hangUp() {
	for _, fd := range []int{r.in.FD(), r.master, r.out.FD()} {
		r.s.Drop(fd)
	}
	if r.edges != nil {
		r.s.Drop(r.edges.FD())
		r.edges.Close()
	}
	unix.Close(r.master)
	unix.Close(r.slave)
	r.master, r.slave, r.ended, r.keys, r.shown = -1, -1, true, nil, nil
}

const (
	// patience is how long a reader may take nothing of the output of a job that was
	// ended by force, or asked to end, in milliseconds. One that ended by itself is
	// waited for.
	patience = 2000
	// maxTail is how many chunks are read after the job's end, more than the kernel keeps.
	// What comes behind them is from a foreign process, which the job gave its terminal to.
	maxTail = 1000
)

// finish shows what is left after the job's end, and gives the terminal back. A signal
// that asks this process to end is heard.
func (r *relay) finish(forced bool) {
	if r.finished {
		return
	}
	r.finished = true
	wait := -1
	if forced || r.asked {
		wait = patience
	}
	all := true
	for chunks := 0; chunks < maxTail && all; {
		switch {
		case r.show():
			chunks++
		case len(r.shown) == 0:
			chunks = maxTail
		default:
			all = r.awaitRoom(wait)
		}
	}
	r.restore(all)
}

// awaitRoom waits until standard output takes more.
func (r *relay) awaitRoom(wait int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(r.out.FD()), Events: unix.POLLOUT}, {Fd: int32(r.caught.FD()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, wait)
		switch {
		case err == unix.EINTR:
		case err != nil || n == 0:
			return false
		case fds[0].Revents != 0:
			return true
		case slices.ContainsFunc(r.caught.Read(), asksToEnd):
			return false
		}
	}
}

// asksToEnd says whether a signal is one by which users, shells and managers end a process.
func asksToEnd(s signals.Signal) bool {
	return !s.Held && slices.Contains([]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}, s.Signal)
}
