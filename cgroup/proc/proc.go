// Package proc reads files of proc(5), and has one parser for each text in them
// that several packages need.
package proc

import (
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Read reads /proc/PID/name: all of it or, if most is not 0, that many bytes, and maybe
// some more. It is os.ReadFile with a third of the system calls, none for Go's poller.
// The error is that of open(2), or read(2): ENOENT or ESRCH for a process that is gone.
func Read(pid int, name string, most int) ([]byte, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 1024)
	for most == 0 || len(b) < most {
		b = slices.Grow(b, 512)
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return b, err
		}
		b = b[:len(b)+n]
	}
	return b, nil
}
