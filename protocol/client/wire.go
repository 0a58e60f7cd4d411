package client

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxLine bounds what a supervisor can make us hold: a list of 100,000 jobs has some 50 MB.
const maxLine = 256 << 20

// read tells the loop of every line, and of the end.
func (l *loop) read() {
	defer close(l.incoming)
	// The kernel closes descriptors that come without having been asked for: a plain read
	// has no room for them.
	r := bufio.NewReaderSize(l.sock, 64<<10)
	for {
		line, err := readLine(r, maxLine)
		var m message
		if err == nil {
			m, err = decode(line)
		}
		if err != nil {
			m.err = err
		}
		l.incoming <- m // the loop takes it sooner or later: Close makes it take all
		if err != nil {
			return
		}
	}
}

// readLine returns the next line without its end, valid until the next call. EOF in the
// middle of a line is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := append([]byte(nil), line...)
		for err == bufio.ErrBufferFull && len(long) <= most {
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	switch {
	case len(line) > most:
		return nil, fmt.Errorf("a message has more than %d bytes", most)
	case err == io.EOF && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

// wrote is what the writer tells the loop of each request.
type wrote struct {
	call    *call
	err     error
	refused bool // nothing was sent, and the connection is as good as before
}

// write writes one request at a time.
func (l *loop) write() {
	defer close(l.attended)
	for k := range l.writes {
		w := wrote{call: k}
		w.refused, w.err = send(l.sock, k.line, k.files)
		closeAll(k.files)
		l.written <- w // has room: the loop does not write before it has read it
	}
}

// send writes a line, and the descriptors with its first byte.
func send(sock net.Conn, line []byte, files []*os.File) (refused bool, err error) {
	if len(files) == 0 {
		_, err := sock.Write(line)
		return false, err
	}
	u, ok := sock.(*net.UnixConn)
	if !ok {
		return true, errNoDescriptors
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd()) // makes it blocking, which is what a job expects
	}
	n, _, err := u.WriteMsgUnix(line, unix.UnixRights(fds...), nil)
	if err != nil {
		// EBADF, ETOOMANYREFS (too many on their way), EPERM (a security module)
		// concern the descriptors alone.
		gone := errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, net.ErrClosed)
		return n == 0 && !gone, fmt.Errorf("sending descriptors: %w", err)
	}
	if n < len(line) {
		_, err = u.Write(line[n:])
	}
	return false, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
