package wire

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// A Conn is a connection of lines, with descriptors if it is a stream socket of AF_UNIX.
// The server talks with its owner by one. It never blocks: lines are kept for the next
// Flush, and those that cannot be sent then for a later one, so look at Blocked before
// more is sent. It belongs to one goroutine.
type Conn struct {
	MaxFD int // received descriptors with this number or a higher one are closed at once; 0: all are kept

	in, out End
	max     int  // length of a line in bytes, its newline included
	rights  bool // descriptors can travel

	buf      []byte // bytes that were read and not taken by Next
	scanned  int    // the first bytes of buf, in which there is no newline
	skipping bool   // the rest of a line that is too long
	received []int  // descriptors that were not taken, ours to close

	unsent []chunk
	spare  []byte // a buffer for the next line
	full   bool   // there was no room for the unsent text
	hungUp bool   // sending has failed, or HangUp was called; Send drops everything
}

// A chunk is text, whose first byte takes descriptors along (unix(7): ancillary data is
// received with the first byte that it was sent with). The Conn owns the descriptors.
type chunk struct {
	text []byte
	fds  []int // closed when sent
}

// maxReceived bounds the descriptors that came and belong to no request. The oldest are
// closed first: an owner that sends some without a request is at fault, and its next
// request may be right.
const maxReceived = 1024

// readSize bounds in bytes what one Read takes, and with it the work before the loop
// looks at anything else.
const readSize = 8 << 10

// ErrMessages says that a socket keeps messages apart, in which lines are cut.
var ErrMessages = errors.New("want a stream socket or pipes, not a socket with messages")

// NewConn talks in lines of at most max bytes over the two descriptors, which may
// be the same and stay the caller's.
func NewConn(in, out, max int) (*Conn, error) {
	c := &Conn{in: Open(in, unix.O_RDONLY), out: Open(out, unix.O_WRONLY), max: max}
	if c.in.whole || c.out.whole {
		return nil, ErrMessages
	}
	c.rights = isUnix(in) && isUnix(out)
	return c, nil
}

// isUnix tells whether descriptors can travel: SCM_RIGHTS is for AF_UNIX alone.
func isUnix(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

// Rights says whether descriptors can travel.
func (c *Conn) Rights() bool { return c.rights }

// InFD returns the descriptor to be polled for reading.
func (c *Conn) InFD() int { return c.in.fd }

// OutFD returns the descriptor to be polled for writing.
func (c *Conn) OutFD() int { return c.out.fd }

// Read takes some of the input; take lines with Next then. It reports the end of input; a
// hang-up and an error of the connection count as one.
func (c *Conn) Read() (end bool) {
	var text [readSize]byte
	n, err := c.receive(text[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false
	case err != nil || n <= 0:
		return true
	}
	c.buf = append(c.buf, text[:n]...)
	return false
}

// receive reads text and, where they can travel, descriptors. They are close-on-exec from
// the start, so that a job that is started at that moment does not inherit them.
func (c *Conn) receive(text []byte) (int, error) {
	if !c.rights {
		return c.in.Read(text)
	}
	var control [1024]byte // SCM_MAX_FD is 253
	n, size, _, _, err := unix.Recvmsg(c.in.fd, text, control[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if size > 0 {
		c.keep(control[:size])
	}
	return n, Later(err)
}

// keep notes the descriptors of a control message (unix(7), SCM_RIGHTS).
func (c *Conn) keep(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				if c.MaxFD > 0 && fd >= c.MaxFD {
					unix.Close(fd)
					continue
				}
				c.received = append(c.received, fd)
			}
		}
	}
	if over := len(c.received) - maxReceived; over > 0 {
		CloseAll(c.received[:over])
		c.received = append([]int{}, c.received[over:]...)
	}
}

// Descriptors takes the first n of those that came; they are the caller's then. It
// is nil if there are fewer.
func (c *Conn) Descriptors(n int) []int {
	if n < 0 || n > len(c.received) {
		return nil
	}
	taken := append([]int{}, c.received[:n]...)
	c.received = append([]int{}, c.received[n:]...)
	return taken
}

// Next takes a line, without its newline, from what was read. The text holds until the
// next Read, which may move the buffer. A line that is too long is reported once, as soon
// as it is known to be, and its rest is skipped as it comes, so that it costs no memory.
func (c *Conn) Next() (line []byte, tooLong, ok bool) {
	for {
		i := bytes.IndexByte(c.buf[c.scanned:], '\n')
		switch {
		case i < 0 && len(c.buf) < c.max:
			c.scanned = len(c.buf)
			c.shrink()
			return nil, false, false
		case i < 0: // no room for the newline
			first := !c.skipping
			c.buf, c.scanned, c.skipping = nil, 0, true
			if first {
				return nil, true, true
			}
			return nil, false, false
		}
		end := c.scanned + i
		line, c.buf, c.scanned = c.buf[:end], c.buf[end+1:], 0
		switch {
		case c.skipping: // its end
			c.skipping = false
		case end >= c.max:
			return nil, true, true
		default:
			return line, false, true
		}
	}
}

// shrink lets an empty buffer go: a connection that is silent for days keeps none.
func (c *Conn) shrink() {
	if len(c.buf) == 0 {
		c.buf = nil
	}
}

// Send has a line, to which the newline is added, sent with the next Flush, or when there
// is enough for one, and with it descriptors, which it closes in any case. Lines without
// descriptors share a chunk, and so a system call.
func (c *Conn) Send(line []byte, fds []int) {
	if c.hungUp {
		CloseAll(fds)
		return
	}
	if last := len(c.unsent) - 1; last >= 0 && len(fds) == 0 && len(c.unsent[last].fds) == 0 {
		c.unsent[last].text = append(append(c.unsent[last].text, line...), '\n')
	} else {
		c.unsent = append(c.unsent, chunk{append(append(c.spare, line...), '\n'), fds})
		c.spare = nil
	}
	if !c.full && c.Unsent() > flushSize {
		c.Flush()
	}
}

// Flush sends the kept text, as far as there is room. An error is a hang-up: EPIPE and
// ECONNRESET mean that the owner has gone, and nothing else can be done about others.
func (c *Conn) Flush() {
	for len(c.unsent) > 0 {
		first := &c.unsent[0]
		n, err := c.send(first)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			c.full = true
			return
		case err != nil:
			c.HangUp()
			return
		}
		// They went with the first byte, also if the rest of the text did not.
		if len(first.fds) > 0 {
			CloseAll(first.fds)
			first.fds = nil
		}
		if n == len(first.text) {
			c.reuse(first.text)
			c.unsent = c.unsent[1:]
		} else {
			first.text = first.text[n:]
		}
	}
	c.unsent, c.full = nil, false
}

// reuse keeps a buffer for the next line, unless it has grown.
func (c *Conn) reuse(text []byte) {
	if cap(text) <= 2*flushSize {
		c.spare = text[:0]
	}
}

// Trim lets go of the buffer that is kept for speed.
func (c *Conn) Trim() { c.spare = nil }

// send sends some of a chunk. MSG_NOSIGNAL spares the process a SIGPIPE (send(2)).
func (c *Conn) send(first *chunk) (int, error) {
	if len(first.fds) == 0 {
		return c.out.Write(first.text)
	}
	n, err := unix.SendmsgN(c.out.fd, first.text, unix.UnixRights(first.fds...), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return n, Later(err)
}

// flushSize is how much text is kept for a Flush, at most, in bytes.
const flushSize = 16 << 10

// Blocked says that text is kept for which there was no room: the owner does not read.
// Text that was not flushed yet does not count.
func (c *Conn) Blocked() bool { return c.full }

// Unsent is how many bytes are kept.
func (c *Conn) Unsent() (n int) {
	for _, u := range c.unsent {
		n += len(u.text)
	}
	return n
}

// HangUp gives up sending: the kept text is dropped, and all later lines, too.
func (c *Conn) HangUp() {
	for _, u := range c.unsent {
		CloseAll(u.fds)
	}
	c.unsent, c.full, c.hungUp = nil, false, true
}

// HungUp says that sending was given up.
func (c *Conn) HungUp() bool { return c.hungUp }

// Deaf says that the owner will never read again, also if nothing was sent since it went:
// POLLERR tells of a pipe without readers, POLLHUP of a socket that is closed on both
// sides. Then it is as if sending had failed.
func (c *Conn) Deaf() bool {
	if isSo(c.out.fd, unix.POLLERR|unix.POLLHUP) {
		c.HangUp()
	}
	return c.hungUp
}

// Mute says that nothing will come but the bytes that are there to be read. It reads
// none.
func (c *Conn) Mute() bool {
	return isSo(c.in.fd, unix.POLLERR|unix.POLLHUP|unix.POLLRDHUP)
}

// isSo says whether poll(2) reports any of some events for a descriptor now.
func isSo(fd int, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&events != 0
}

// Close closes the descriptors that came and were not taken.
func (c *Conn) Close() {
	CloseAll(c.received)
	c.received = nil
}

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
