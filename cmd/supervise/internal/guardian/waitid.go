package guardian

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Waitid is waitid(2) by the twin, of its children, with WNOHANG among the options. The error is
// ECHILD if the twin is dead: what was its child is this process's then.
func (f *Foster) Waitid(idType, id, options int, info *Info, usage *unix.Rusage) error {
	if idType != unix.P_ALL || options&unix.WNOWAIT != 0 {
		if f.pid == 0 || f.barren || !f.ask(idType, id, options, batch, 1) {
			return unix.ECHILD
		}
		f.barren = idType == unix.P_ALL && f.shared.errno == uintptr(unix.ECHILD)
		return f.take(batch, info, usage)
	}
	if f.next == f.count {
		if f.behind == unix.ECHILD || f.pid == 0 {
			return unix.ECHILD
		}
		var b [8]byte
		unix.Read(f.notice, b[:])
		atomic.StoreUint32(&f.shared.dead, 0)
		f.next, f.count = 0, 0
		f.ask(idType, id, options, 0, batch)
		f.count, f.behind = int(f.shared.n), errnoOf(f.shared.errno)
		f.barren = f.behind == unix.ECHILD && f.pid > 0
	}
	if f.next < f.count {
		f.next++
		f.copy(f.next-1, info, usage)
		return nil
	}
	return f.after(info)
}

// after is what comes behind the statuses: none, or an error.
func (f *Foster) after(info *Info) error {
	if f.pid == 0 {
		return unix.ECHILD
	}
	if f.behind == unix.EAGAIN {
		clear(info[:])
		return nil
	}
	return f.behind
}

// take returns the one status of an answer.
func (f *Foster) take(place int, info *Info, usage *unix.Rusage) error {
	if f.shared.n == 1 {
		f.copy(place, info, usage)
		return nil
	}
	if clear(info[:]); f.shared.errno == uintptr(unix.EAGAIN) {
		return nil
	}
	return errnoOf(f.shared.errno)
}

func (f *Foster) copy(place int, info *Info, usage *unix.Rusage) {
	s := &f.shared.statuses[place]
	if *info = s.info; usage != nil {
		*usage = s.usage
	}
	if pidOf(info) == f.main && f.end >= 0 && info[infoCode] <= lastEnd {
		f.forgetMain()
	}
}

// errnoOf is nil for 0.
func errnoOf(n uintptr) error {
	if n == 0 {
		return nil
	}
	return syscall.Errno(n)
}

// ask has the twin wait for up to most statuses, and says whether it has answered; if not, it is
// dead. What it had reaped is among the statuses in any case.
func (f *Foster) ask(idType, id, options, first, most int) (answered bool) {
	x := f.shared
	x.idType, x.id, x.options, x.first, x.most = uintptr(idType), uintptr(id), uintptr(options), uintptr(first), uintptr(most)
	x.n, x.errno = 0, 0
	binary.NativeEndian.PutUint32(x.statuses[first].info[infoPID:], 0)
	b := [1]byte{}
	unix.RawSyscall6(unix.SYS_SENDTO, uintptr(f.socket), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_NOSIGNAL, 0, 0)
	if f.awaitAnswer(answerLimit) {
		return true
	}
	f.Bury()
	if int(x.n) < most && x.errno == 0 && pidOf(&x.statuses[first+int(x.n)].info) != 0 {
		x.n++ // it was killed between the call and the count
	}
	x.errno = uintptr(unix.ECHILD)
	return false
}

func pidOf(info *Info) int {
	return int(int32(binary.NativeEndian.Uint32(info[infoPID:])))
}

// A twin that has no processor, or is stopped, is given some time to answer: it is continued
// after each step. To execute a program takes as long as its file system, which may be another
// machine's.
const (
	answerStep  = 100 * time.Millisecond
	answerLimit = 10 * time.Second
	execLimit   = math.MaxInt64
)

// awaitAnswer waits for one; if none comes, the twin is dead, or of no use. The call is raw: Go's
// runtime takes one that is not for one that may block, and may want another thread, which is
// not to be had where no pid is left. It interrupts it, then, every 10 ms (SIGURG).
func (f *Foster) awaitAnswer(limit time.Duration) bool {
	var b [1]byte
	for step, began := time.Now(), time.Now(); time.Since(began) < limit; {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(f.socket), uintptr(unsafe.Pointer(&b)), 1)
		if errno == 0 || errno != unix.EAGAIN && errno != unix.EINTR {
			return n == 1 && errno == 0
		}
		if time.Since(step) >= answerStep {
			step = time.Now()
			f.Continue()
		}
	}
	return false
}
