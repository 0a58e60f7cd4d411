package cgroup

import (
	"errors"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// A reader reads files of a cgroup one after the other through one buffer. The text that it
// returns is valid until the next reading.
type reader struct {
	d   *dir
	buf []byte
	err error // of all readings

	lacks *lacking // nil: missing files are not remembered
}

// lacking are names of files that are known not to be there.
type lacking struct {
	sync.Mutex
	names []string
}

func (l *lacking) has(name string) bool {
	if l == nil {
		return false
	}
	l.Lock()
	defer l.Unlock()
	return slices.Contains(l.names, name)
}

func (l *lacking) add(name string) {
	if l == nil {
		return
	}
	l.Lock()
	defer l.Unlock()
	l.names = append(l.names, name)
}

// bufferSize is more than any of the files has, in bytes: memory.stat has 2 KB.
const bufferSize = 4096

// buffers are reused, since a server reads many files of many jobs.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func takeBuffer() []byte { return buffers.Get().(*[bufferSize]byte)[:] }

func giveBuffer(b []byte) {
	if cap(b) >= bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}

// read returns the text of a file; nil if the kernel does not have it, or has it
// switched off (pressure with psi=0 is EOPNOTSUPP).
func (r *reader) read(name string) []byte {
	if r.lacks.has(name) {
		return nil
	}
	fd, err := r.d.open(name, unix.O_RDONLY)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			r.lacks.add(name)
		}
		r.fail(err)
		return nil
	}
	b, err := readInto(fd, &r.buf)
	unix.Close(fd)
	if err != nil {
		r.fail(r.d.fail("read", name, err))
		return nil
	}
	return b
}

func (r *reader) fail(err error) {
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
		r.err = errors.Join(r.err, err)
	}
}

// readInto reads a file that the kernel writes as a whole (seq_file with a single
// record), so that less than asked for is the end. The buffer grows if need be.
func readInto(fd int, buf *[]byte) ([]byte, error) {
	for {
		n, err := unix.Pread(fd, *buf, 0)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n < len(*buf):
			return (*buf)[:n:n], nil
		default:
			*buf = make([]byte, 2*len(*buf))
		}
	}
}
