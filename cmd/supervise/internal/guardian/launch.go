package guardian

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// A launch is how the main process is started, laid out before the fork in a mapping that the
// foster has a copy of: in its memory is no heap.
type launch struct {
	path, argv, envv uintptr
	dir              uintptr // 0: this process's
	size             uintptr // of the mapping
	ignored          uint64  // the signals that it is to ignore; of all others the action is the default
	stops            uint64  // those whose handler it keeps until it executes its program: see signals.CaughtStops
	files            [3]uintptr
	limit, now       unix.Rlimit // of descriptors: what it is to be, if it is still what package syscall made of it
	session          bool        // the main process leads one
	controls         bool        // with a terminal: its descriptor of that number
	takes            bool        // its process group is the foreground of a terminal: this process's descriptor of that number
	terminal         uintptr
	own              bool    // it is in a process group that is not this process's:
	group            uintptr // this one, 0: one that it leads
	leaves           bool    // the foster leaves the group that it was born in
	closes           uintptr // before it executes its program, every descriptor from the third on but this one, which execve closes; 0: none
}

// newLaunch lays out a start. It is given back by free.
func newLaunch(path string, argv []string, attr *syscall.ProcAttr) (*launch, error) {
	const word = unsafe.Sizeof(uintptr(0))
	vectors, texts := uintptr(len(argv)+len(attr.Env)+2)*word, uintptr(len(path)+1+len(attr.Dir)+1)
	for _, list := range [...][]string{argv, attr.Env} {
		for _, s := range list {
			texts += uintptr(len(s) + 1)
		}
	}
	head := unsafe.Sizeof(launch{})
	memory, err := unix.MmapPtr(-1, 0, nil, head+vectors+texts, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	l := (*launch)(memory)
	l.size = head + vectors + texts
	layOut := layOut{
		words: unsafe.Slice((*uintptr)(unsafe.Add(memory, head)), vectors/word),
		texts: unsafe.Slice((*byte)(unsafe.Add(memory, head+vectors)), texts),
	}
	l.argv, l.envv, l.path = layOut.list(argv), layOut.list(attr.Env), layOut.text(path)
	if attr.Dir != "" {
		l.dir = layOut.text(attr.Dir)
	}
	if err := l.set(attr); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

func (l *launch) free() { unix.MunmapPtr(unsafe.Pointer(l), l.size) }

// A layOut is the room that is left in a mapping, for pointers and for texts.
type layOut struct {
	words []uintptr
	texts []byte
}

// text puts a string with a NUL behind it.
func (l *layOut) text(s string) (address uintptr) {
	address = uintptr(unsafe.Pointer(unsafe.SliceData(l.texts)))
	l.texts = l.texts[copy(l.texts, s)+1:]
	return address
}

// list puts strings, and pointers to them with a null pointer behind.
func (l *layOut) list(from []string) (address uintptr) {
	address = uintptr(unsafe.Pointer(unsafe.SliceData(l.words)))
	for i, s := range from {
		l.words[i] = l.text(s)
	}
	l.words = l.words[len(from)+1:]
	return address
}

// Launch is syscall.ForkExec for a program that is to ignore and to block the signals that this
// process did when it was executed. This process catches them all the while: none is lost that comes
// when the program has begun to handle it. Package syscall would have to be left to ignore them.
//
// What is more than supervise wants of its jobs as a rule (other descriptors than three) package syscall
// does all the same; and on processors without an entry of our own.
func Launch(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	if !sharesMemory || !launches(attr) {
		return signals.Start(syscall.ForkExec, path, argv, attr)
	}
	return signals.StartCatching(vfork, path, argv, attr)
}

// vfork starts a program by vfork(2). It returns when that is executed, or cannot be.
func vfork(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	l, err := newLaunch(path, argv, attr)
	if err != nil {
		return 0, err
	}
	defer l.free()
	t := &plan
	*t = twin{refused: &refusal}
	t.waits()
	refusal = 0
	pid, errno := t.launch(l, attr)
	t.raises = nil
	if errno != 0 {
		return 0, errno
	}
	if refusal != 0 {
		for err = unix.EINTR; err == unix.EINTR; {
			_, err = unix.Wait4(int(pid), nil, 0, nil)
		}
		return 0, syscall.Errno(refusal)
	}
	return int(pid), nil
}

var refusal uintptr // see twin

// waits has this process wait until the main process has executed its program.
func (t *twin) waits() {
	t.vfork, t.stack, t.size = unix.CLONE_VFORK, uintptr(unsafe.Pointer(&firstStack)), unsafe.Sizeof(firstStack)
}

// launch has the main process born, in its cgroup if it is to be in one.
func (t *twin) launch(l *launch, attr *syscall.ProcAttr) (pid uintptr, errno syscall.Errno) {
	l.leaves = l.own
	t.all, t.raises, t.born = ^uint64(0), l, codeOf(born)
	t.into, t.clone.cgroup = attr.Sys.UseCgroupFD, uint64(attr.Sys.CgroupFD)
	if pid, errno = bearMasked(t); t.into && birthRefused(errno) {
		pid, errno = bearJoining(t, errno)
	}
	return pid, errno
}

// birthRefused says that clone3(2) is unknown, or filtered, or may not be used for this cgroup. What
// package cgroup calls so beside these (EBUSY, EOPNOTSUPP) is a refusal to enter it as well.
func birthRefused(errno syscall.Errno) bool {
	switch errno {
	case unix.ENOSYS, unix.EINVAL, unix.E2BIG, unix.EPERM, unix.EACCES:
		return true
	}
	return false
}

// bearJoining has the main process enter by itself the cgroup that it could not be born in. A stub
// that does so (see cgroup.Job) is a program that Ctrl-Z stops, while this process waits for it.
func bearJoining(t *twin, refused syscall.Errno) (pid uintptr, errno syscall.Errno) {
	procs, err := unix.Openat(int(t.clone.cgroup), "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, refused
	}
	defer unix.Close(procs)
	t.into, t.joins = false, uintptr(procs)
	return bearMasked(t)
}

// launches says whether a launch can do all that the attributes ask for. The descriptors take their
// places one after the other: none may be where another one was put before it.
func launches(attr *syscall.ProcAttr) bool {
	if attr.Sys == nil || len(attr.Files) != len(launch{}.files) {
		return false
	}
	for i, fd := range attr.Files {
		if int(fd) < i { // -1: none
			return false
		}
	}
	return true
}

// set takes the attributes of a start, as far as supervise has any use for them.
func (l *launch) set(attr *syscall.ProcAttr) error {
	if !launches(attr) {
		return errors.ErrUnsupported
	}
	copy(l.files[:], attr.Files)
	l.ignored, l.stops, l.limit = signals.AllIgnored(), signals.CaughtStops(), signals.Files()
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l.now); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	sys, own := attr.Sys, unix.Getpgrp()
	l.session, l.takes, l.own = sys.Setsid, sys.Foreground, sys.Setpgid || sys.Foreground
	l.terminal, l.group = uintptr(sys.Ctty), uintptr(sys.Pgid)
	l.controls = sys.Setctty
	if !l.session && !l.own {
		l.group = uintptr(own)
	}
	// A group that this PID namespace has no number for could not be joined from outside.
	l.leaves = l.session || l.own || own > 0
	return nil
}
