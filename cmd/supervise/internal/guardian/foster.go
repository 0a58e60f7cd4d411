package guardian

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Foster is the guardian of a job without a cgroup. Only an ancestor that is a subreaper can
// end what a killed supervisor leaves; so the twin stands between this process and the job:
//
//	this process ──requests──> foster ──> main process ──> ...
//	             <──statuses──   └──────> orphans of the job
//
// It starts the main process, and then does nothing by itself: it reaps when it is asked to (see
// Waitid), so that a pid is its process's until this process has heard of the end. A request and
// what comes of it are in memory that both share; one byte each way by a socket says that it is
// there.
//
// The end of the socket says that this process is dead: the twin ends all that is below it. If
// the twin is killed, its children are this process's, which is a subreaper as well. Both killed
// at once is the case that is left.
//
// The job may know it for its parent: what it is sent it hands on, as a Sentinel does.
//
// It belongs to one goroutine.
type Foster struct {
	pid    int // 0: it is dead, and was waited for
	main   int
	end    int // pidfd of the main process; -1: its end was seen, or the kernel has none
	socket int
	notice int // eventfd(2): a child has changed its status
	sent   int // the read end of a pipe: a signalfd_siginfo for each signal
	shared *exchange
	next   int   // the first of the statuses that were not returned yet
	count  int   // how many there are, those included that were
	behind error // what comes after them
	barren bool  // there is no child any more
}

// An exchange is the memory that both share.
type exchange struct {
	idType, id, options, most, first uintptr // the request: what to wait for, and the statuses' place and number

	n     uintptr // the answer: how many there are,
	errno uintptr // and what came after them; of the start: why there is no main process
	main  uintptr // its pid
	dead  uint32  // not 0: a child is dead, and was not asked for since

	statuses [batch + 1]status
}

// batch is how many statuses one answer has; the place behind them is for those of one process.
const batch = 240

// An Info is a siginfo_t.
type Info [infoSize]byte

// A status is what waitid(2) fills.
type status struct {
	info  Info
	usage unix.Rusage
}

// Offsets in the siginfo_t of SIGCHLD (sigaction(2)).
const (
	infoCode = 8
	infoPID  = 16
)

// Raise forks the foster, which starts the main process; attr is as for syscall.StartProcess, but
// for the descriptors, which are 0, 1 and 2, and for a process group that is not named: then the
// main process is in this process's group, which the foster has left. The foster hands on the given
// signals. An error of the start is a bare errno.
func Raise(path string, argv []string, attr *syscall.ProcAttr, signals []unix.Signal) (f *Foster, main int, err error) {
	l, err := newLaunch(path, argv, attr)
	if err != nil {
		return nil, 0, err
	}
	defer l.free()
	f = &Foster{notice: -1, socket: -1, sent: -1, end: -1}
	if err = f.fork(l, setOf(append([]unix.Signal{unix.SIGCHLD}, signals...))); err == nil {
		err = f.started()
	}
	if err != nil {
		f.Dismiss()
		f.Wait()
		return nil, 0, err
	}
	return f, f.main, nil
}

// fork forks the twin. On an error the caller gives back what there is.
func (f *Foster) fork(l *launch, signals unix.Sigset_t) error {
	memory, err := unix.MmapPtr(-1, 0, nil, unsafe.Sizeof(exchange{}), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	f.shared = (*exchange)(memory)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	f.socket = pair[1]
	defer unix.Close(pair[0])
	wait := unix.NsecToTimeval(int64(answerStep))
	unix.SetsockoptTimeval(f.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	if f.notice, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd2", err)
	}
	var sent [2]int
	if err = unix.Pipe2(sent[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	f.sent = sent[0]
	defer unix.Close(sent[1])
	heard, err := unix.Signalfd(-1, &signals, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("signalfd", err)
	}
	defer unix.Close(heard)
	t := &plan
	*t = twin{
		all: ^uint64(0), pipe: uintptr(pair[0]), signals: uintptr(heard), name: &guardianName, pidfd: -1,
		raises: l, born: codeOf(born), refused: &f.shared.errno, shared: f.shared, notice: uintptr(f.notice), sent: uintptr(sent[1]),
	}
	t.waits()
	t.pause.Nsec = 10e6
	t.polled = [2]unix.PollFd{{Fd: int32(pair[0]), Events: unix.POLLIN}, {Fd: int32(heard), Events: unix.POLLIN}}
	t.closing = gaps([]int{pair[0], heard, f.notice, sent[1]})
	t.arguments([2]string{TreeArg, "-"})
	pid, errno := fork(t)
	t.raises, t.refused, t.shared = nil, nil, nil
	if errno != 0 {
		return fmt.Errorf("forking the guardian: %w", errno)
	}
	f.pid = int(pid)
	if t.pidfd >= 0 {
		unix.Close(int(t.pidfd)) // the socket tells of its death
	}
	return nil
}

// TreeArg is the first argument of a cleaner that ends all that is below it.
const TreeArg = "tree"

// ErrKilled says that the twin was killed while it started the main process: if there is one, it
// is this process's child.
var ErrKilled = errors.New("the guardian was killed")

// started waits until the main process has executed its program.
func (f *Foster) started() error {
	switch answered := f.awaitAnswer(execLimit); {
	case !answered:
		return ErrKilled
	case f.shared.errno != 0:
		return syscall.Errno(f.shared.errno)
	}
	f.main = int(f.shared.main)
	f.end, _ = unix.PidfdOpen(f.main, 0) // -1 with an error: the foster tells of it as well
	return nil
}

// PID returns the twin's process id, 0 if it is dead.
func (f *Foster) PID() int {
	if f == nil {
		return 0
	}
	return f.pid
}

// FD returns a descriptor that is readable when a child may have changed its status.
func (f *Foster) FD() int { return f.notice }

// End returns a descriptor that is readable when the twin is dead. It stays open until Wait.
func (f *Foster) End() int { return f.socket }

// MainFD returns a descriptor that is readable when the main process is dead, which so is known
// before the twin has had its turn; -1: there is none, or MainDead has said so already.
func (f *Foster) MainFD() int { return f.end }

// MainDead says once that the main process is dead, and was not reaped. Its tracer may keep
// it from being reaped for as long as that likes: then the twin tells of it, and MainFD would wake
// the loop for nothing.
func (f *Foster) MainDead() bool {
	if f == nil || f.end < 0 {
		return false
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.end), Events: unix.POLLIN}}, 0)
	if n < 1 || err != nil {
		return false
	}
	f.forgetMain()
	return true
}

// forgetMain gives the main process's pidfd back.
func (f *Foster) forgetMain() {
	unix.Close(f.end)
	f.end = -1
}

// SentFD returns a descriptor that is readable when Sent has something to return, and when the
// twin is dead.
func (f *Foster) SentFD() int { return f.sent }

// Sent takes a signal that was sent to the twin, and the pid of its sender, 0 if that is the kernel
// or is not known. It is 0 if there is none, and over if there will be none any more.
func (f *Foster) Sent() (sig unix.Signal, from int, over bool) {
	var info [infoSize]byte
	n, err := unix.Read(f.sent, info[:])
	if n < infoSize {
		return 0, 0, err != unix.EAGAIN && err != unix.EINTR
	}
	sig, from = parseSent(&info)
	return sig, from, false
}

// Dead says whether the twin has seen that a child is dead that was not asked for yet. It does not
// wait for the twin.
func (f *Foster) Dead() bool { return f.shared != nil && atomic.LoadUint32(&f.shared.dead) != 0 }

// Noticed says whether a child may have changed its status since any child was asked for last.
// It does not wait for the twin.
func (f *Foster) Noticed() bool {
	fds := []unix.PollFd{{Fd: int32(f.notice), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil
}

// Barren says that there was no child any more when Waitid asked for any. Then the twin, which
// has no use any more, ends by itself.
func (f *Foster) Barren() bool { return f.barren }

// Continue continues the twin, which may have been stopped.
func (f *Foster) Continue() {
	if f.pid > 0 {
		unix.Kill(f.pid, unix.SIGCONT)
	}
}

// Bury kills the twin, if it lives, and waits for its end: its children are this process's from
// then on.
func (f *Foster) Bury() {
	if f.pid > 0 {
		finish(f.pid)
		f.pid = 0
	}
}

// Dismiss kills the twin: there is nothing left to guard.
func (f *Foster) Dismiss() {
	if f.pid > 0 {
		unix.Kill(f.pid, unix.SIGKILL)
	}
}

// Wait waits for the twin to exit after Dismiss, and gives back what belongs to it. Nothing else
// may be called afterwards but PID.
func (f *Foster) Wait() {
	f.Bury()
	for _, fd := range [...]int{f.socket, f.notice, f.sent, f.end} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if f.shared != nil {
		unix.MunmapPtr(unsafe.Pointer(f.shared), unsafe.Sizeof(exchange{}))
	}
	f.end = -1
	f.socket, f.notice, f.sent, f.shared, f.next, f.count = -1, -1, -1, nil, 0, 0
}
