package guardian

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// A Birth is a main process on its way to its program, while this process goes on. Until it has
// executed that, it has this process's memory, and in it a stack of its own:
//
//	this process ──clone3──> goes on ───────────> Wait
//	main process    └──────> session, descriptors, execve ──> its program
//	pipe            ─────────────────────────────────┘ closed: by execve, or by the death of the main process
//
// What the kernel does to all that share memory it does to both: see [cgroup.Job.MayOverlap].
type Birth struct {
	PID int // of the main process

	end int // the read end of the pipe, whose write end the main process alone has
	*cradle
}

// A cradle is what the main process needs of this process's memory.
type cradle struct {
	twin    twin
	launch  *launch
	refusal uintptr
	stack   [16 << 10]byte // as firstStack
}

// cradles are those that are free. They belong to the goroutine that calls Begin and Wait.
var cradles []*cradle

// Begin is [Launch] that does not wait for the execve(2): Wait does. All descriptors but the program's are closed
// before that: nobody is to wait for the end of a pipe until the program of another job is there. The error, if there is one, is
// that of the birth, and ErrUnsupported for what Launch does in another way.
func Begin(path string, argv []string, attr *syscall.ProcAttr) (b *Birth, err error) {
	if !sharesMemory || !launches(attr) {
		return nil, errors.ErrUnsupported
	}
	_, err = signals.StartCatching(func(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
		b, err = begin(path, argv, attr)
		return 0, err
	}, path, argv, attr)
	return b, err
}

func begin(path string, argv []string, attr *syscall.ProcAttr) (*Birth, error) {
	l, err := newLaunch(path, argv, attr)
	if err != nil {
		return nil, err
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		l.free()
		return nil, os.NewSyscallError("pipe2", err)
	}
	b := &Birth{end: ends[0], cradle: takeCradle()}
	l.closes = uintptr(ends[1])
	b.launch, b.refusal = l, 0
	bottom := uintptr(unsafe.Pointer(&b.stack))
	b.twin = twin{refused: &b.refusal, stack: bottom, size: (bottom+unsafe.Sizeof(b.stack))&^15 - bottom}
	pid, errno := b.twin.launch(l, attr)
	unix.Close(ends[1])
	if errno != 0 {
		b.giveBack()
		return nil, errno
	}
	b.PID = int(pid)
	return b, nil
}

// FD returns a descriptor that hangs up when Wait does not wait.
func (b *Birth) FD() int { return b.end }

// Wait waits until the main process has executed its program, or is dead; it is called once. Of a program that could
// not be executed the error is the bare errno, and the main process is for the caller to reap.
func (b *Birth) Wait() error {
	for hungUp := []unix.PollFd{{Fd: int32(b.end)}}; hungUp[0].Revents == 0; {
		unix.Poll(hungUp, -1)
	}
	refusal := syscall.Errno(b.refusal)
	b.giveBack()
	if refusal != 0 {
		return refusal
	}
	return nil
}

// giveBack gives back what belongs to the birth. The main process does not have this process's memory any more.
func (b *Birth) giveBack() {
	unix.Close(b.end)
	b.launch.free()
	b.launch, b.twin.raises = nil, nil
	cradles, b.cradle = append(cradles, b.cradle), nil
}

// Rest gives back memory that the births to come will take again.
func Rest() { cradles = nil }

func takeCradle() *cradle {
	last := len(cradles) - 1
	if last < 0 {
		return &cradle{}
	}
	c := cradles[last]
	cradles = cradles[:last]
	return c
}
