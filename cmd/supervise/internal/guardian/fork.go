package guardian

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The only unsafe file of the package: between fork and execve nothing but raw
// system calls may happen. The runtime's other threads do not exist in the twin,
// so it must not allocate, grow the stack, take a lock or be scheduled; hence
// nosplit, norace, and pointers instead of Go values.

const (
	maxFD   = 1<<31 - 1
	maxGaps = 5 // around four descriptors
)

// A plan is what the twin needs, laid out before the fork.
type plan struct {
	pipe, kill, session, root uintptr
	closing                   [maxGaps][2]uintptr // ranges of descriptors, first and last; {0, 0} are unused
	argv                      [4]*byte
	envv                      [1]*byte
	all, old                  uint64 // signal masks: every signal, and what it was
}

var (
	twinName = [16]byte{'g', 'u', 'a', 'r', 'd', 'i', 'a', 'n'} // TASK_COMM_LEN
	selfExe  = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e', 0}
	slash    = [2]byte{'/', 0}
	one      = [1]byte{'1'}
)

// fork returns in the parent only. Flags 0: copied memory and descriptors, no
// exit signal. Every signal is blocked meanwhile, so no handler of Go's can run
// in the twin, now or ever; nor can this goroutine be preempted and leave the
// mask on a thread that it is not on any more.
//
//go:norace
//go:nosplit
//go:noinline
func fork(p *plan) (pid uintptr, errno syscall.Errno) {
	const size = 8 // of the kernel's sigset_t
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&p.all)), uintptr(unsafe.Pointer(&p.old)), size, 0, 0)
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, 0, 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		watch(p)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&p.old)), 0, size, 0, 0)
	return pid, errno
}

// watch is the twin's whole life.
//
//go:norace
//go:nosplit
//go:noinline
func watch(p *plan) {
	syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0) // what is sent to our process group or terminal is not for it
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&twinName)), 0)
	syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(&slash)), 0, 0)
	for i := range p.closing {
		closeRange(p.closing[i][0], p.closing[i][1])
	}
	var b byte
	n, errno := uintptr(0), syscall.EINTR
	for errno == syscall.EINTR {
		n, _, errno = syscall.RawSyscall(unix.SYS_READ, p.pipe, uintptr(unsafe.Pointer(&b)), 1)
	}
	if n == 0 {
		syscall.RawSyscall(unix.SYS_WRITE, p.kill, uintptr(unsafe.Pointer(&one)), 1)
		syscall.RawSyscall(unix.SYS_FCNTL, p.session, unix.F_SETFD, 0)
		syscall.RawSyscall(unix.SYS_FCNTL, p.root, unix.F_SETFD, 0)
		syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&selfExe)),
			uintptr(unsafe.Pointer(&p.argv)), uintptr(unsafe.Pointer(&p.envv)))
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// closeRange closes first to last: close_range(2) (Linux 5.9), or one by one as
// far as descriptors are likely to go.
//
//go:norace
//go:nosplit
//go:noinline
func closeRange(first, last uintptr) {
	if last == 0 {
		return // unused: 0, 1 and 2 are always open and never ours, so no gap ends at 0
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_CLOSE_RANGE, first, last, 0); errno == 0 {
		return
	}
	for fd := first; fd <= last && fd < 1<<16; fd++ {
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}
}
