package guardian

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Reader is a twin that reads command lines, which may take for ever: the kernel waits
// for the other process's memory (mmap_lock in /proc/PID/cmdline), and that process may
// hold it for as long as it likes, say while a FUSE server does not answer. A thread could
// not be given up, and where no pid is left Go's runtime dies for want of one. The twin
// has no descriptor but the pipe, so while it hangs it keeps nothing else open.
// A Reader belongs to one goroutine.
type Reader struct {
	pid  int
	pipe int // the read end
	text []byte
}

// A reading is what the twin reads, in a mapping that it has a copy of.
type reading struct {
	files []path // behind the reading
	most  uintptr
	size  uintptr // of the mapping
	text  [headerSize + MaxRead]byte
}

// MaxRead is how many bytes of a command line a Reader returns at most.
const MaxRead = 4<<10 + 1

const (
	pathSize   = 32
	headerSize = 4 // length
)

type path [pathSize]byte

// Read forks the twin, which reads up to most bytes of the command line of each process, in
// their order. To waitid(2) it is as the guardian is.
func Read(pids []int, most int) (*Reader, error) {
	memory, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(reading{}))+len(pids)*pathSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	defer unix.Munmap(memory)
	reads := (*reading)(unsafe.Pointer(&memory[0]))
	reads.size = uintptr(len(memory))
	reads.files, reads.most = unsafe.Slice((*path)(unsafe.Pointer(&memory[unsafe.Sizeof(reading{})])), len(pids)), uintptr(min(most, MaxRead))
	for i, pid := range pids {
		name := "/proc/" + strconv.Itoa(pid) + "/cmdline"
		if copy(reads.files[i][:pathSize-1], name) < len(name) {
			return nil, fmt.Errorf("the path %s is too long", name)
		}
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[1])
	t := &plan
	*t = twin{all: ^uint64(0), pipe: uintptr(pipe[1]), name: &readerName, reads: reads, pidfd: -1}
	t.closing = gaps(pipe[1:])
	pid, errno := fork(t)
	t.reads = nil
	if errno != 0 {
		unix.Close(pipe[0])
		return nil, fmt.Errorf("forking the reader: %w", errno)
	}
	if t.pidfd >= 0 {
		unix.Close(int(t.pidfd)) // the pipe tells of its end
	}
	return &Reader{pid: int(pid), pipe: pipe[0]}, nil
}

// PID returns the twin's process id.
func (r *Reader) PID() int { return r.pid }

// FD returns a descriptor that is readable when Next has more to return.
func (r *Reader) FD() int { return r.pipe }

// Next waits for a part of what the twin has read, and returns the command lines that are
// complete now; one that could not be read is empty. At the end, over is true.
func (r *Reader) Next() (lines [][]byte, over bool) {
	var b [headerSize + MaxRead]byte
	n, err := unix.Read(r.pipe, b[:])
	if n <= 0 {
		return nil, err != unix.EINTR
	}
	r.text = append(r.text, b[:n]...)
	for len(r.text) >= headerSize {
		size := headerSize + int(binary.NativeEndian.Uint32(r.text))
		if len(r.text) < size {
			break
		}
		lines = append(lines, r.text[headerSize:size:size])
		r.text = r.text[size:]
	}
	return lines, false
}

// Kill has the twin end, which it does not do before the kernel lets it.
func (r *Reader) Kill() { unix.Kill(r.pid, unix.SIGKILL) }

// Close waits for the twin, of which Next has seen the end, or which the caller is sure
// will end.
func (r *Reader) Close() {
	unix.Close(r.pipe)
	finish(r.pid)
}
