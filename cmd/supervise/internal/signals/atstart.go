package signals

import (
	"runtime"
	"syscall"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
)

// A job ignores and blocks the signals that supervise did when it was executed, as it
// would without supervise. Go's runtime forgets most of them while it starts: it has
// handlers for all signals but SIGHUP and SIGINT, and unblocks those that may end the
// program. So they are noted before it starts, in entry_*.s.
//
//	noted at the entry ──> init: ignored again, blocked again in this thread
//	    ──> Catch: caught and unblocked; what comes is marked as held
//	    ──> Start: as they were, until the program is executed; StartCatching: blocked only
//
// What cannot be handed on that way goes by a stub: see stub.go.

// In entry_*.s.
var (
	entryRan     uint64
	entryIgnored set
	entryBlocked set
	entryAction  action //nolint:unused // where the kernel writes
)

var (
	ignored = entryIgnored // at the start
	blocked = entryBlocked
	caught  set // by Catch
	muted   set // blocked at the start, neither caught nor ignored, and unblocked by Go: ignored meanwhile
)

// A set is the kernel's sigset_t: signal n is bit n-1.
type set uint64

func setOf(signals ...unix.Signal) (s set) {
	for _, sig := range signals {
		s |= 1 << (sig - 1)
	}
	return s
}

func (s set) has(sig unix.Signal) bool { return s&setOf(sig) != 0 }

// each calls f for every signal in the set.
func (s set) each(f func(unix.Signal)) {
	for sig := unix.Signal(1); s != 0 && sig <= maxSignal; sig++ {
		if s.has(sig) {
			f(sig)
		}
	}
}

var (
	// kept are those that Go's runtime keeps to itself: os/signal neither catches nor
	// ignores them.
	kept = setOf(unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSTKFLT, unix.SIGPROF, unix.SIGSYS, 32, 33, 34)
	// passing are those of them whose action it leaves alone, in the child of a fork as well.
	passing = setOf(32, 34)
	// unblocked are those that it unblocks in each of its threads.
	unblocked = kept | setOf(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM, unix.SIGCHLD, unix.SIGURG)
)

// runtimeIgnore is what os/signal.Ignore calls, without the cost of that package: it
// tells Go's runtime that a signal is ignored. Else the runtime gives it its default
// action between fork and execve, and ends the program if that writes into a pipe that
// nobody reads.
//
//go:linkname runtimeIgnore os/signal.signal_ignore
func runtimeIgnore(sig uint32)

// init ignores and blocks signals as before the runtime's start. SIGCHLD is not ignored:
// the kernel would throw statuses away. The main thread alone can block what the runtime
// has unblocked in the others; but it is the thread that executes programs.
func init() {
	if entryRan == 0 {
		remember()
	}
	(ignored &^ setOf(unix.SIGCHLD)).each(func(sig unix.Signal) {
		runtimeIgnore(uint32(sig))
		sigaction(sig, &action{handler: sigIgnore}, nil)
	})
	if blocked != 0 {
		setMask(blocked)
	}
}

// remember finds out what the runtime has left, where the program did not begin in
// entry_*.s: on another processor, or with an entry of the C library's.
func remember() {
	for sig := unix.Signal(1); sig <= maxSignal; sig++ {
		var old action
		if sigaction(sig, nil, &old) == nil && old.handler == sigIgnore {
			ignored |= setOf(sig)
		}
	}
	var old unix.Sigset_t
	unix.PthreadSigmask(unix.SIG_BLOCK, nil, &old)
	blocked = set(old.Val[0])
}

// setMask sets the mask of the calling thread.
func setMask(s set) {
	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{Val: [16]uint64{uint64(s)}}, nil)
}

// hold prepares Catch's process for the signals that were blocked: those that were caught
// come, if to this thread alone; of the others none ends the process. What is ignored here
// has its default action in the child of a fork, where Go's runtime resets it (but see
// passing).
func hold() {
	muted = blocked & unblocked &^ (caught | ignored)
	muted.each(func(sig unix.Signal) { sigaction(sig, &action{handler: sigIgnore}, nil) })
	if blocked != 0 {
		setMask(blocked &^ caught)
	}
}

// Release gives a signal its default action, and unblocks it in the calling thread, for a
// job that has done so too. Undo puts back what was.
func Release(sig unix.Signal) (undo func()) {
	switch {
	case caught.has(sig):
		Default(sig)
		return func() { Again(sig) }
	case !(ignored | blocked).has(sig):
		return func() {}
	}
	sigaction(sig, &action{handler: sigDefault}, nil)
	setMask(blocked &^ caught &^ setOf(sig))
	return func() {
		setMask(blocked &^ caught)
		if ignored.has(sig) {
			sigaction(sig, &action{handler: sigIgnore}, nil)
		}
	}
}

// StartCatching is Start for a start that has the program ignore those of AllIgnored by itself. This
// process goes on to catch them.
func StartCatching(start func(string, []string, *syscall.ProcAttr) (int, error), path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if blocked != 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		setMask(blocked)
		defer setMask(blocked &^ caught)
	}
	return start(path, argv, attr)
}

// Start has start fork and execute a program that ignores and blocks what this process
// did when it was executed. Meanwhile this process does so too, and none of those signals
// means anything to it, nor to a job that does not run yet. It is called by the thread
// that called Catch.
func Start(start func(string, []string, *syscall.ProcAttr) (int, error), path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if ignored|blocked == 0 {
		return start(path, argv, attr)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setMask(blocked)
	defer setMask(blocked &^ caught)
	both := ignored & caught &^ setOf(unix.SIGCHLD)
	both.each(func(sig unix.Signal) { Ignore(sig) })
	defer both.each(func(sig unix.Signal) { Again(sig) })
	if ignored&stubbed|muted&passing != 0 {
		return startByStub(start, path, argv, attr)
	}
	return start(path, argv, attr)
}
