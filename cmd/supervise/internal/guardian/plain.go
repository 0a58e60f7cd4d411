//go:build !amd64 && !arm64 && !riscv64

package guardian

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lean does nothing: here the twin goes on with the stack that the fork is called on, in the heap.
// Its functions are called by variables, as the linker would want less stack of them than there is:
// see roomy.
//
//go:nosplit
func lean() {}

var begins, bears = watch, born

// roomy makes room on the stack for the twin's functions, none of which may do so.
//
//go:noinline
func roomy() (room [8 << 10]byte) { return room }

// birth forks, by clone3(2) if that has to be, and returns in the parent. The twin begins with
// watch.
//
//go:norace
//go:nosplit
func birth(t *twin, into bool) (pid uintptr, errno syscall.Errno) {
	if into {
		t.clone.flags, t.clone.pidfd = unix.CLONE_PIDFD|unix.CLONE_INTO_CGROUP, uint64(uintptr(unsafe.Pointer(&t.pidfd)))
		pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&t.clone)), unsafe.Sizeof(t.clone), 0)
	} else {
		pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_PIDFD, 0, uintptr(unsafe.Pointer(&t.pidfd)), 0, 0, 0)
	}
	if errno == 0 && pid == 0 {
		begins(t)
	}
	return pid, errno
}

// codeOf is not used: the functions are called.
func codeOf(func(*twin)) uintptr { return 0 }

// sharesMemory says that bear's child has its parent's memory.
const sharesMemory = false

// bear is fork(2), and returns in the parent when the child has executed a program, or has ended.
// The child begins with born.
//
//go:norace
//go:nosplit
func bear(t *twin) (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		bears(t)
	}
	return pid, errno
}
