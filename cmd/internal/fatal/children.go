package fatal

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	children     [64]byte // a path
	childrenSize int
	list         [4096]byte
	info         [128]byte // a siginfo_t
	action       [4]uint64 // the kernel's struct sigaction: SIG_DFL
	pause        = unix.Timespec{Nsec: 1e6}
)

// maxRounds bounds the wait for a process that does not go: another user's, or one that
// hangs in the kernel. A round takes a millisecond and more.
const maxRounds = 10_000

// EndChildren kills the children, and what becomes one by that: as it reaps none, each
// keeps its slot in the limit of processes, and a fork bomb comes to its end. It needs no
// memory, no thread, and one descriptor: if there is none, the standard input's. The kernel
// must have lists of children (CONFIG_PROC_CHILDREN).
//
//go:norace
//go:nosplit
func EndChildren() {
	syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0) // ignored, it would have the kernel reap
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0)
	pid, _, _ := syscall.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	childrenSize = 0
	path("/proc/self/task/")
	number(pid)
	path("/children\x00")
	for range maxRounds {
		if !killChildren() {
			reap()
			return
		}
		syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
	}
}

// reap takes the dead off the kernel's list.
//
//go:norace
//go:nosplit
func reap() {
	for {
		if pid, _, errno := syscall.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0), 0, unix.WNOHANG, 0, 0, 0); errno != 0 || pid == 0 {
			return
		}
	}
}

//go:norace
//go:nosplit
func path(s string) {
	for i := range len(s) {
		children[childrenSize&63] = s[i]
		childrenSize++
	}
}

//go:norace
//go:nosplit
func number(n uintptr) {
	digits := uintptr(1)
	for n/digits >= 10 {
		digits *= 10
	}
	for ; digits > 0; digits /= 10 {
		children[childrenSize&63] = byte('0' + n/digits%10)
		childrenSize++
	}
}

// killChildren says whether one may be left alive. The list is read anew from its begin
// each time, and what was forked meanwhile comes at its end.
//
//go:norace
//go:nosplit
func killChildren() (lives bool) {
	fd := open(&children[0])
	if fd < 0 {
		return false
	}
	pid, in := uintptr(0), false
	for {
		n := read(fd)
		if n <= 0 {
			break
		}
		for i := 0; i < n && i < len(list); i++ {
			if c := list[i]; c >= '0' && c <= '9' {
				pid, in = pid*10+uintptr(c-'0'), true
			} else if in {
				lives = kill(pid) || lives
				pid, in = 0, false
			}
		}
	}
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return lives
}

// kill kills a child, and says whether it lives yet. The guardian, which waitid(2) does
// not see, is left alone: it ends what is elsewhere.
//
//go:norace
//go:nosplit
func kill(pid uintptr) (lives bool) {
	info[0] = 0 // the low byte of si_signo, on either of the processors
	_, _, errno := syscall.RawSyscall6(unix.SYS_WAITID, unix.P_PID, pid, uintptr(unsafe.Pointer(&info)),
		unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
	if errno != 0 && errno != unix.ECHILD { // refused by a filter
		dead, _, errno := syscall.RawSyscall6(unix.SYS_WAIT4, pid, 0, unix.WNOHANG, 0, 0, 0)
		if errno != 0 || dead != 0 {
			return false
		}
	} else if errno != 0 || info[0] != 0 {
		return false
	}
	syscall.RawSyscall(unix.SYS_KILL, pid, uintptr(unix.SIGKILL), 0)
	return true
}

// open opens a file to read; with no descriptor left, instead of the standard input.
//
//go:norace
//go:nosplit
func open(path *byte) int {
	at := unix.AT_FDCWD
	for {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
		if errno == 0 {
			return int(fd)
		}
		if errno != unix.EMFILE {
			return -1
		}
		if _, _, errno = syscall.RawSyscall(unix.SYS_CLOSE, 0, 0, 0); errno != 0 {
			return -1
		}
	}
}

//go:norace
//go:nosplit
func read(fd int) int {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&list)), uintptr(len(list)))
	if errno != 0 {
		return 0
	}
	return int(n)
}
