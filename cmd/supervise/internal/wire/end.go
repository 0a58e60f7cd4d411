// Package wire is a connection to an owner: bytes, or lines with descriptors. The caller
// waits in poll(2) alone; no call of this package blocks.
package wire

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// An End is our end of a connection, read or written without ever blocking. Its
// flags are left as they are: the owner, or a terminal's other users, may share
// them.
type End struct {
	fd     int
	socket bool
	whole  bool // a socket with messages
}

// Open prepares a descriptor for reading (unix.O_RDONLY) or writing. A pipe is opened
// once more by its link in /proc/self/fd, for a file description of our own that does not
// block; anything else that is no socket (a file, a terminal) is taken as it is, and may
// block for a moment. The descriptor stays the caller's; that of the second opening is
// never closed, as an End lasts as long as the process.
func Open(fd, access int) End {
	e := End{fd: fd}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil {
		e.socket, e.whole = true, kind != unix.SOCK_STREAM
		return e
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		own, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), access|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		switch {
		case err != nil:
		// A FIFO that is opened when its writers have gone tells of no end before there has been
		// another writer (fifo(7)); by the old description the end is there, and a read does not
		// block.
		case access == unix.O_RDONLY && isSo(fd, unix.POLLHUP):
			unix.Close(own)
		default:
			e.fd = own
		}
	}
	return e
}

// FD returns the descriptor to be polled.
func (e End) FD() int { return e.fd }

// Whole says whether the input comes as whole messages.
func (e End) Whole() bool { return e.whole }

// Ended says whether Read, which has just returned 0, has met the end. An empty message
// looks the same; but then the other side has hung up nothing.
func (e End) Ended() bool {
	fds := []unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLRDHUP}}
	n, err := 1, error(nil)
	if e.whole {
		for n, err = unix.Poll(fds, 0); err == unix.EINTR; n, err = unix.Poll(fds, 0) {
		}
	}
	return n > 0 || err != nil
}

// Read reads the bytes that are there; EAGAIN if there are none, 0 at the end and for an
// empty message.
func (e End) Read(b []byte) (n int, err error) {
	if e.socket {
		n, _, err = unix.Recvfrom(e.fd, b, unix.MSG_DONTWAIT)
	} else {
		n, err = unix.Read(e.fd, b)
	}
	return n, Later(err)
}

// Write writes as much as there is room for; EAGAIN if there is none.
func (e End) Write(b []byte) (n int, err error) {
	if e.socket {
		n, err = unix.SendmsgN(e.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	} else {
		n, err = unix.Write(e.fd, b)
	}
	return n, Later(err)
}

// Later makes EAGAIN of a lack of memory in the kernel: it is not the end of the connection,
// and what could not be taken or sent can be a little later.
func Later(err error) error {
	if err == unix.ENOMEM || err == unix.ENOBUFS {
		return unix.EAGAIN
	}
	return err
}
