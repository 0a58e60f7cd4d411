package guardian

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The foster's life; see fork.go for what is allowed here.

// raise starts the main process, and then does what it is asked to. It returns when the supervisor is dead.
//
//go:norace
//go:nosplit
//go:noinline
func raise(t *twin) {
	x, l := t.shared, t.raises
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, 1, 0)
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(t.name)), 0)
	if l.leaves { // before the main process runs, which may kill all of its group
		syscall.RawSyscall(unix.SYS_SETPGID, 0, 0, 0)
	}
	pid, errno := bear(t)
	if errno != 0 {
		x.errno = uintptr(errno)
	}
	if x.main = pid; x.errno != 0 && pid != 0 {
		syscall.RawSyscall6(unix.SYS_WAIT4, pid, 0, 0, 0, 0, 0) // it could not execute the program
	}
	answer(t)
	if x.errno != 0 {
		exit()
	}
	syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(&slash)), 0, 0)
	for i := range t.closing {
		closeRange(t.closing[i][0], t.closing[i][1])
	}
	syscall.RawSyscall(unix.SYS_MUNMAP, uintptr(unsafe.Pointer(l)), l.size, 0)
	// While there are descriptors to be had: it is read when this process may have none any more.
	list, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, 0, uintptr(unsafe.Pointer(&childrenFile)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if t.list = list; errno != 0 {
		t.list = maxFD
	}
	for {
		_, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&t.polled)), uintptr(len(t.polled)), 0, 0, 0, 0)
		if errno != 0 {
			continue
		}
		if t.polled[1].Revents != 0 {
			hear(t)
		}
		if t.polled[0].Revents != 0 && obey(t) {
			return
		}
	}
}

var (
	childrenFile = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 't', 'h', 'r', 'e', 'a', 'd', '-', 's', 'e', 'l', 'f', '/', 'c', 'h', 'i', 'l', 'd', 'r', 'e', 'n', 0}
	oneMore      = uint64(1)
)

// answer tells the supervisor that there is one.
//
//go:norace
//go:nosplit
func answer(t *twin) { tell(t.pipe, uintptr(unsafe.Pointer(&one)), 1) }

// tell writes what nothing may be lost of. There is room for it; but the kernel may lack memory.
//
//go:norace
//go:nosplit
func tell(fd, from, size uintptr) {
	for range 100 {
		_, _, errno := syscall.RawSyscall(unix.SYS_WRITE, fd, from, size)
		if errno == 0 || errno == syscall.EPIPE {
			return
		}
	}
}

// hear takes a signal and tells the supervisor of it: of SIGCHLD, that there was one; the others
// are handed on. The supervisor that does not read gets the first few.
//
//go:norace
//go:nosplit
func hear(t *twin) {
	_, _, errno := syscall.RawSyscall(unix.SYS_READ, t.signals, uintptr(unsafe.Pointer(&t.info)), infoSize)
	if errno != 0 {
		return
	}
	if *(*uint32)(unsafe.Pointer(&t.info)) == uint32(unix.SIGCHLD) {
		// It may stand for others, of another kind.
		_, _, errno = syscall.RawSyscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&t.info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		if errno == 0 && *(*int32)(unsafe.Pointer(&t.info[infoPID])) != 0 {
			t.shared.dead = 1
		}
		tell(t.notice, uintptr(unsafe.Pointer(&oneMore)), unsafe.Sizeof(oneMore))
	} else {
		syscall.RawSyscall(unix.SYS_WRITE, t.sent, uintptr(unsafe.Pointer(&t.info)), infoSize)
	}
}

// obey does what the supervisor asks for, or says that it is dead.
//
//go:norace
//go:nosplit
func obey(t *twin) (dead bool) {
	var b byte
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, t.pipe, uintptr(unsafe.Pointer(&b)), 1)
	if n == 1 && errno == 0 {
		barren := reap(t.shared)
		if answer(t); barren {
			exit() // without a child it will never have any
		}
		return false
	}
	return errno != syscall.EINTR && errno != syscall.EAGAIN
}

// reap waits for as many statuses as are wanted, up to one that is no end: what follows from that
// is for a process that lives. Barren says that there is no child.
//
//go:norace
//go:nosplit
func reap(x *exchange) (barren bool) {
	for x.n < x.most {
		s := (*status)(unsafe.Add(unsafe.Pointer(&x.statuses), (x.first+x.n)*unsafe.Sizeof(status{})))
		*(*int32)(unsafe.Pointer(&s.info[infoPID])) = 0
		_, _, errno := syscall.RawSyscall6(unix.SYS_WAITID, x.idType, x.id, uintptr(unsafe.Pointer(&s.info)), x.options, uintptr(unsafe.Pointer(&s.usage)), 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno == 0 && *(*int32)(unsafe.Pointer(&s.info[infoPID])) == 0 {
			errno = syscall.EAGAIN
		}
		if errno != 0 {
			x.errno = uintptr(errno)
			return errno == syscall.ECHILD && x.idType == unix.P_ALL
		}
		x.n++
		if *(*int32)(unsafe.Pointer(&s.info[infoCode])) > lastEnd {
			break
		}
	}
	return false
}

// lastEnd is CLD_DUMPED: the codes behind it are of processes that live (sigaction(2)).
const lastEnd = 3

// cull ends all that is below this process, and does not return. It kills its children, again and again, as those of
// the dead become its own; that takes nothing that the job may have left none of. What
// outruns it is for the program that it becomes then, which stops a tree before it kills.
//
//go:norace
//go:nosplit
func cull(t *twin) {
	for times, vain := 0, 0; times < cullTimes && vain < cullVain; times++ {
		n, _, errno := syscall.RawSyscall6(unix.SYS_PREAD64, t.list, uintptr(unsafe.Pointer(&listed)), unsafe.Sizeof(listed), 0, 0, 0)
		if errno != 0 {
			break
		}
		killListed(t.shared.main, n)
		for vain++; errno == 0; vain = 0 {
			t.info = [infoSize]byte{}
			_, _, errno = syscall.RawSyscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&t.info)), unix.WEXITED|unix.WNOHANG, 0, 0)
			if *(*int32)(unsafe.Pointer(&t.info[infoPID])) == 0 {
				break
			}
		}
		if errno == syscall.ECHILD {
			exit()
		}
		// SIGCHLD says that the next one has died; it may have said so already. Of many, each needs
		// the processor to die.
		polled := uintptr(1)
		if n > manyListed {
			polled = 0
		}
		rest(t, uintptr(unsafe.Pointer(&t.polled[1])), polled)
		syscall.RawSyscall(unix.SYS_READ, t.signals, uintptr(unsafe.Pointer(&t.info)), infoSize)
	}
	for range executeTimes {
		syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&selfExe)),
			uintptr(unsafe.Pointer(&t.argv)), uintptr(unsafe.Pointer(&t.envv)))
		rest(t, 0, 0)
	}
	exit()
}

// cullTimes is how often it does so, and cullVain how often if none has died, with pauses of 10 ms.
const cullTimes, cullVain = 1000, 50

// manyListed is so much of the list that the next look is not to come at once, in bytes.
const manyListed = 256

// listed is the text of the list of children, as much of it as is looked at each time.
var listed [4 << 10]byte

// killListed kills the children whose numbers are in the first n bytes of listed, each with a
// blank behind; and with the first of them that is in the main process's group, all of that.
//
//go:norace
//go:nosplit
func killListed(main, n uintptr) {
	pid := uintptr(0)
	for i := range n {
		c := *(*byte)(unsafe.Add(unsafe.Pointer(&listed), i))
		if c >= '0' && c <= '9' {
			pid = pid*10 + uintptr(c-'0')
			continue
		}
		if pid == 0 {
			continue
		}
		if group, _, errno := syscall.RawSyscall(unix.SYS_GETPGID, pid, 0, 0); errno == 0 && group == main {
			syscall.RawSyscall(unix.SYS_KILL, -main, uintptr(unix.SIGKILL), 0)
			main = 0 // no process has it
		}
		syscall.RawSyscall(unix.SYS_KILL, pid, uintptr(unix.SIGKILL), 0)
		pid = 0
	}
}

// firstStack is the main process's, while it has its parent's memory and that waits. A signal may be
// handled on it, for which the kernel puts all registers there.
var firstStack [16 << 10]byte

// born is the main process, before it executes its program, in its parent's memory (or, where it
// is not cloned so, in a copy, but for what is shared): vfork(2).
//
//go:norace
//go:nosplit
//go:noinline
func born(t *twin) {
	l := t.raises
	syscall.RawSyscall(unix.SYS_SIGALTSTACK, uintptr(unsafe.Pointer(&noSignalStack)), 0, 0) // Go's may be in memory that is not there
	resetSignals(t, l)
	errno := join(t)
	if errno == 0 {
		errno = arrange(l)
	}
	if errno == 0 && l.dir != 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_CHDIR, l.dir, 0, 0)
	}
	for i := range uintptr(len(l.files)) {
		if errno == 0 {
			errno = placeFile(*(*uintptr)(unsafe.Add(unsafe.Pointer(&l.files), i*unsafe.Sizeof(i))), i)
		}
	}
	if errno == 0 && l.controls {
		_, _, errno = syscall.RawSyscall(unix.SYS_IOCTL, l.terminal, unix.TIOCSCTTY, 1)
	}
	if l.closes != 0 { // close_range(2) is known from Linux 5.9 on
		if third := uintptr(len(l.files)); l.closes > third {
			syscall.RawSyscall(unix.SYS_CLOSE_RANGE, third, l.closes-1, 0)
		}
		syscall.RawSyscall(unix.SYS_CLOSE_RANGE, l.closes+1, maxFD, 0)
	}
	if errno == 0 {
		if l.limit.Cur != l.now.Cur && l.now.Cur == l.limit.Max-1 && l.now.Max == l.limit.Max { // else it was changed since
			syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&l.limit)), 0, 0, 0)
		}
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&t.old)), 0, sigsetSize, 0, 0)
		_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, l.path, l.argv, l.envv)
	}
	*t.refused = uintptr(errno)
	exit()
}

const sigsetSize = 8 // of the kernel's sigset_t

// noSignalStack is the kernel's stack_t, with SS_DISABLE.
var noSignalStack = struct {
	start uintptr
	flags int32
	size  uintptr
}{flags: 2}

// resetSignals has those signals ignored that are to be, and gives all others their default action,
// but for those by which it would be stopped before it executes its program: that resets them. All
// are blocked still.
//
//go:norace
//go:nosplit
func resetSignals(t *twin, l *launch) {
	for sig := uintptr(1); sig <= 64; sig++ {
		t.action[0] = l.ignored >> (sig - 1) & 1 // 0: the default action, 1: it is ignored
		if t.action[0] == 0 && l.stops>>(sig-1)&1 != 0 {
			continue
		}
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&t.action)), 0, sigsetSize, 0, 0)
	}
}

// join enters the cgroup that the main process was not born in. A refusal is one of its birth, and
// not that of its program.
//
//go:norace
//go:nosplit
func join(t *twin) (errno syscall.Errno) {
	if t.joins == 0 {
		return 0
	}
	if _, _, errno = syscall.RawSyscall(unix.SYS_WRITE, t.joins, uintptr(unsafe.Pointer(&zero)), 1); errno != 0 {
		errno = unix.EACCES
	}
	return errno
}

var zero = [1]byte{'0'} // the writer itself

// arrange finds the main process its session, its process group and the foreground, in the order
// in which package syscall does so.
//
//go:norace
//go:nosplit
func arrange(l *launch) (errno syscall.Errno) {
	if l.session {
		_, _, errno = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
		return errno
	}
	if l.leaves {
		_, _, errno = syscall.RawSyscall(unix.SYS_SETPGID, 0, l.group, 0)
	}
	if errno == 0 && l.takes {
		pid, _, _ := syscall.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		self := int32(pid)
		if l.group != 0 {
			self = int32(l.group)
		}
		_, _, errno = syscall.RawSyscall(unix.SYS_IOCTL, l.terminal, unix.TIOCSPGRP, uintptr(unsafe.Pointer(&self)))
	}
	return errno
}

// placeFile makes a descriptor the one of that number in the program.
//
//go:norace
//go:nosplit
func placeFile(from, to uintptr) (errno syscall.Errno) {
	if from == to {
		_, _, errno = syscall.RawSyscall(unix.SYS_FCNTL, from, unix.F_SETFD, 0)
	} else {
		_, _, errno = syscall.RawSyscall(unix.SYS_DUP3, from, to, 0)
	}
	return errno
}
