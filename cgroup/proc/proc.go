// Package proc reads files of proc(5), and has one parser for each text in them
// that several packages need.
package proc

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Read reads /proc/PID/name: all of it or, if most is not 0, that many bytes, and maybe
// some more. It is os.ReadFile with a third of the system calls, none for Go's poller.
// The error is that of open(2), or read(2): ENOENT or ESRCH for a process that is gone.
func Read(pid int, name string, most int) ([]byte, error) {
	return ReadFile("/proc/"+strconv.Itoa(pid)+"/"+name, most)
}

// ReadFile is Read for a file by its path.
func ReadFile(path string, most int) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 2048)
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

// Names lists a directory, as Readdirnames of os.File does, and with its error. It does
// not set up Go's poller, which takes two descriptors more, and ends the program if there
// are none.
func Names(dir string) ([]string, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	return f.Readdirnames(-1)
}
