//go:build amd64 || arm64 || riscv64

package guardian

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stack is the twin's, and tls what the register for thread-local storage points into: of Go's
// there is none (where that register has it at all).
var (
	stack [16 << 10]byte
	tls   [64]uintptr
)

const (
	lowest   = 1 << 32  // a program that is not position-independent is below, heap and mappings are above
	stackGap = 64 << 20 // between mappings and the stack the kernel leaves 128 MB at least (mmap_base)
)

// lean keeps out of the fork what the twin does not need: see above. Holes in the range are
// passed over (madvise(2), ENOMEM). It does nothing in a position-independent program, nor with
// C's library, into whose memory the kernel writes wherever a process of it runs (rseq(2)).
//
//go:norace
//go:nosplit
func lean() {
	if withC || len(os.Args) == 0 || uintptr(unsafe.Pointer(&stack)) > lowest {
		return
	}
	end := uintptr(unsafe.Pointer(unsafe.StringData(os.Args[0])))&^0xffff - stackGap
	if end > lowest {
		syscall.RawSyscall(unix.SYS_MADVISE, lowest, end-lowest, unix.MADV_DONTFORK)
	}
}

// birth clones, by clone3(2) if that has to be, and returns in the parent. The twin begins
// with watch.
//
//go:norace
//go:nosplit
func birth(t *twin, into bool) (pid uintptr, errno syscall.Errno) {
	pidfd, local := uintptr(unsafe.Pointer(&t.pidfd)), uintptr(unsafe.Pointer(&tls[len(tls)/2]))
	bottom, size := uintptr(unsafe.Pointer(&stack)), unsafe.Sizeof(stack)
	if into {
		t.clone.flags = unix.CLONE_PIDFD | unix.CLONE_SETTLS | unix.CLONE_INTO_CGROUP
		t.clone.pidfd, t.clone.tls = uint64(pidfd), uint64(local)
		t.clone.stack, t.clone.stackSize = uint64(bottom), uint64(size)
		pid = clone(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&t.clone)), unsafe.Sizeof(t.clone), 0, 0, codeOf(watch), t)
	} else {
		pid = clone(unix.SYS_CLONE, unix.CLONE_PIDFD|unix.CLONE_SETTLS, bottom+size, pidfd, local, codeOf(watch), t)
	}
	if pid > ^uintptr(4095) {
		return 0, syscall.Errno(-pid)
	}
	return pid, 0
}

// sharesMemory says that bear's child has its parent's memory.
const sharesMemory = true

// bear is vfork(2), or the same without the waiting, into another cgroup by clone3(2). It returns in
// the parent. The child begins with born.
//
//go:norace
//go:nosplit
func bear(t *twin) (pid uintptr, errno syscall.Errno) {
	if t.into {
		t.clone.flags, t.clone.exitSignal = uint64(unix.CLONE_VM|unix.CLONE_INTO_CGROUP|t.vfork), uint64(unix.SIGCHLD)
		t.clone.stack, t.clone.stackSize = uint64(t.stack), uint64(t.size)
		pid = clone(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&t.clone)), unsafe.Sizeof(t.clone), 0, 0, t.born, t)
	} else {
		pid = clone(unix.SYS_CLONE, unix.CLONE_VM|t.vfork|uintptr(unix.SIGCHLD), t.stack+t.size, 0, 0, t.born, t)
	}
	if pid > ^uintptr(4095) {
		return 0, syscall.Errno(-pid)
	}
	return pid, 0
}

// roomy does nothing: the twin has a stack of its own.
func roomy() {}

// codeOf is where a function begins. It is looked up before the fork, in memory that the twin so
// need not map: that is of constants, and the kernel may map 2 MB of them at once.
func codeOf(f func(*twin)) uintptr { return **(**uintptr)(unsafe.Pointer(&f)) }

// clone is a system call with the arguments of clone(2), the fourth being the one for the
// thread-local storage. It returns what the kernel does in the parent; in the child it goes on
// with the code of begin, of which t is the argument, and which must not return.
//
//go:noescape
func clone(trap, first, second, third, local, begin uintptr, t *twin) (pid uintptr)
