package guardian

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The unsafe part of the package, with lean.go: between fork and execve nothing but raw
// system calls may happen. The runtime's other threads do not exist in the twin,
// so it must not allocate, grow the stack, take a lock or be scheduled; hence
// nosplit, norace, and pointers instead of Go values.
//
// Nor does Go's heap exist in it, nor the runtime's own memory: to copy them, in the fork and
// page by page as we go on writing, took a third of a millisecond. So they are kept out of the
// fork, and the twin has a stack among the program's variables; all that it touches is there:
//
//	program and its variables | heap and runtime (MADV_DONTFORK) | arguments, first thread's stack
//	0 ........................ 4 GiB ............................. stackGap below the arguments

const (
	maxFD   = 1<<31 - 1
	maxGaps = 5 // around four descriptors
)

// A twin is what the twin needs, laid out before the fork.
type twin struct {
	pipe, kill uintptr
	keep       [2]uintptr
	closing    [maxGaps][2]uintptr // ranges of descriptors, first and last; {0, 0} are unused
	argv       [4]*byte
	envv       [1]*byte
	args       [3][maxArg]byte // what argv points to
	all, old   uint64          // signal masks: every signal, and what it was
	name       *[16]byte       // TASK_COMM_LEN
	into       bool            // the twin is born in another cgroup: by clone3
	clone      cloneArgs       // for that
	pause      unix.Timespec   // before it tries again to execute this program
	left       unix.Timespec   // what the kernel says is left of that
	pidfd      int32           // the twin's, written by the kernel in the parent (CLONE_PIDFD, Linux 5.2); before -1

	// A sentinel's and a foster's: the pipe is its socket then.
	signals uintptr // a signalfd; 0: a guardian in a cgroup
	polled  [2]unix.PollFd
	info    [infoSize]byte

	reads *reading // a reader's; nil: another

	// A foster's.
	raises  *launch  // nil: another
	refused *uintptr // the errno of what keeps the main process from executing its program
	born    uintptr  // where born begins
	vfork   uintptr  // CLONE_VFORK: this process waits until the main process has executed its program; 0: it goes on
	stack   uintptr  // the main process's, while it has this process's memory, and its size
	size    uintptr
	joins   uintptr // a cgroup.procs that the main process enters its cgroup by; 0: it is born where it is to be
	shared  *exchange
	notice  uintptr   // an eventfd
	sent    uintptr   // a pipe
	list    uintptr   // /proc/thread-self/children, open
	action  [4]uint64 // of a signal
}

// cloneArgs is the kernel's struct clone_args (clone3(2)), up to the cgroup (Linux 5.7).
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// plan is the twin's. It is no part of the heap, which the twin does not have.
var plan twin

const executeTimes = 100 // with pauses of 100 ms

const maxArg = 32

var (
	guardianName = [16]byte{'g', 'u', 'a', 'r', 'd', 'i', 'a', 'n'}
	sentinelName = [16]byte{'s', 'e', 'n', 't', 'i', 'n', 'e', 'l'}
	readerName   = [16]byte{'r', 'e', 'a', 'd', 'e', 'r'}

	selfExe = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e', 0}
	slash   = [2]byte{'/', 0}
	one     = [1]byte{'1'}
)

// fork forks the twin, and returns in the parent only.
func fork(t *twin) (pid uintptr, errno syscall.Errno) {
	roomy()
	return rawFork(t)
}

// rawFork has no flags but CLONE_PIDFD: copied memory and
// descriptors, no exit signal. Every signal is blocked meanwhile, so no handler of Go's can run
// in the twin, now or ever; nor can this goroutine be preempted and leave the
// mask on a thread that it is not on any more.
//
//go:norace
//go:nosplit
//go:noinline
func rawFork(t *twin) (pid uintptr, errno syscall.Errno) {
	lean()
	if t.reads != nil {
		syscall.RawSyscall(unix.SYS_MADVISE, uintptr(unsafe.Pointer(t.reads)), t.reads.size, unix.MADV_DOFORK)
	}
	if t.raises != nil {
		_, _, errno = syscall.RawSyscall(unix.SYS_MADVISE, uintptr(unsafe.Pointer(t.raises)), t.raises.size, unix.MADV_DOFORK)
		if errno == 0 {
			_, _, errno = syscall.RawSyscall(unix.SYS_MADVISE, uintptr(unsafe.Pointer(t.shared)), unsafe.Sizeof(*t.shared), unix.MADV_DOFORK)
		}
		if errno != 0 {
			return 0, errno
		}
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&t.all)), uintptr(unsafe.Pointer(&t.old)), sigsetSize, 0, 0)
	errno = syscall.ENOSYS
	if t.into {
		pid, errno = birth(t, true)
	}
	if errno != 0 { // a refused birth elsewhere is one here
		pid, errno = birth(t, false)
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&t.old)), 0, sigsetSize, 0, 0)
	return pid, errno
}

// bearMasked is bear with all signals blocked, as fork.
//
//go:norace
//go:nosplit
//go:noinline
func bearMasked(t *twin) (pid uintptr, errno syscall.Errno) {
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&t.all)), uintptr(unsafe.Pointer(&t.old)), sigsetSize, 0, 0)
	pid, errno = bear(t)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&t.old)), 0, sigsetSize, 0, 0)
	return pid, errno
}

// watch is the twin's whole life.
//
//go:norace
//go:nosplit
//go:noinline
func watch(t *twin) {
	// Where it was stopped, the death of the supervisor has it go on: of the thread that it is forked from, that is (prctl(2)).
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGCONT), 0)
	if t.raises != nil {
		raise(t)
		cull(t)
	}
	syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0) // what is sent to our process group or terminal is not for it
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(t.name)), 0)
	syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(&slash)), 0, 0)
	for i := range t.closing {
		closeRange(t.closing[i][0], t.closing[i][1])
	}
	if t.reads != nil {
		read(t)
	}
	if t.signals != 0 {
		stand(t)
	}
	var b byte
	n, errno := uintptr(0), syscall.EINTR
	for errno == syscall.EINTR {
		n, _, errno = syscall.RawSyscall(unix.SYS_READ, t.pipe, uintptr(unsafe.Pointer(&b)), 1)
	}
	if n == 0 {
		syscall.RawSyscall(unix.SYS_FCNTL, t.keep[0], unix.F_SETFD, 0)
		syscall.RawSyscall(unix.SYS_FCNTL, t.keep[1], unix.F_SETFD, 0)
		// What is lacking, memory or a descriptor, may be there a little later.
		for range executeTimes {
			syscall.RawSyscall(unix.SYS_WRITE, t.kill, uintptr(unsafe.Pointer(&one)), 1)
			syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&selfExe)),
				uintptr(unsafe.Pointer(&t.argv)), uintptr(unsafe.Pointer(&t.envv)))
			rest(t, 0, 0)
		}
	}
	exit()
}

// stand is the rest of a sentinel's life: it hands on the signals that it is sent, until
// the supervisor has closed its end of the socket. The supervisor that does not read gets
// the first few.
//
//go:norace
//go:nosplit
//go:noinline
func stand(t *twin) {
	for {
		syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&t.polled)), uintptr(len(t.polled)), 0, 0, 0, 0)
		if t.polled[0].Revents != 0 {
			exit()
		}
		if t.polled[1].Revents != 0 {
			syscall.RawSyscall(unix.SYS_READ, t.signals, uintptr(unsafe.Pointer(&t.info)), infoSize)
			syscall.RawSyscall(unix.SYS_WRITE, t.pipe, uintptr(unsafe.Pointer(&t.info)), infoSize)
		}
	}
}

// read is the rest of a reader's life.
//
//go:norace
//go:nosplit
//go:noinline
func read(t *twin) {
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	r := t.reads
	text := uintptr(unsafe.Pointer(&r.text))
	for i := range r.files {
		n := uintptr(0)
		fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, 0, uintptr(unsafe.Pointer(&r.files[i])), unix.O_RDONLY, 0, 0, 0)
		for errno == 0 && n < r.most {
			var got uintptr
			got, _, errno = syscall.RawSyscall(unix.SYS_READ, fd, text+headerSize+n, r.most-n)
			if errno != 0 || got == 0 {
				break
			}
			n += got
		}
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0) // of one that is not open it fails
		*(*uint32)(unsafe.Pointer(&r.text)) = uint32(n)
		for from, end := uintptr(0), headerSize+n; from < end; {
			put, _, errno := syscall.RawSyscall(unix.SYS_WRITE, t.pipe, text+from, end-from)
			if errno != 0 {
				exit() // the supervisor is dead
			}
			from += put
		}
	}
	exit()
}

// rest waits for the pause to pass, or for one of n descriptors. The kernel writes what is left of
// the time over it (ppoll(2)): with the pause itself every later one would be none.
//
//go:norace
//go:nosplit
func rest(t *twin, polled, n uintptr) {
	t.left = t.pause
	syscall.RawSyscall6(unix.SYS_PPOLL, polled, n, uintptr(unsafe.Pointer(&t.left)), 0, 0, 0)
}

// exit does not return.
//
//go:norace
//go:nosplit
//go:noinline
func exit() {
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
