package record

import (
	"os"

	"golang.org/x/sys/unix"
)

// WriteAll writes all bytes to a descriptor that may be a pipe or non-blocking; it waits
// for room as long as it takes. Samples and the trace ask for room first.
func WriteAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		// The flag may come from another process that shares the open file description.
		case err == unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case err != nil && err != unix.EINTR:
			return os.NewSyscallError("write", err)
		// A pipe may take a part of the text, and a signal handler may cut the write
		// short.
		case n > 0:
			b = b[n:]
		}
	}
	return nil
}
