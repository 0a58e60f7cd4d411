package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launcher in the environment turns the test binary into a launcher: it puts itself under a seccomp filter that has some
// calls reported, hands the listener to the worker, and executes supervise.
const launcher = "SUPERVISE_FAULTS_LAUNCH"

// Descriptors of the launcher beyond standard error.
const (
	listenerFD = 3   // the socket that takes the listener
	farFD      = 900 // where it goes
)

// A launchSpec says what the launcher does, in this order.
type launchSpec struct {
	ReadOnly string     // this mount becomes read-only in a mount namespace of the launcher's own
	Children [][]string // started, for the binary protocol
	Calls    []uintptr  // reported; none: all
	Argv     []string   // executed
	NoEnv    bool
}

func init() {
	if text := os.Getenv(launcher); text != "" {
		fmt.Fprintln(os.Stderr, "launcher:", launch(text))
		os.Exit(99)
	}
}

// launch does not return unless it fails. A filter belongs to a thread, and execve keeps that of the thread that calls it.
func launch(text string) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	os.Unsetenv(launcher)
	var spec launchSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	if spec.ReadOnly != "" {
		if err := readOnly(spec.ReadOnly); err != nil {
			return err
		}
	}
	if err := unix.Dup3(listenerFD, farFD, unix.O_CLOEXEC); err != nil {
		return err
	}
	unix.Close(listenerFD)
	env := os.Environ()
	if spec.NoEnv {
		env = nil
	}
	if err := startChildren(spec.Children); err != nil {
		return err
	}
	if err := install(spec.Calls); err != nil {
		return err
	}
	return syscall.Exec(spec.Argv[0], spec.Argv, env)
}

// startChildren starts the children that supervise finds, and becomes a subreaper as a client of the binary protocol does.
func startChildren(children [][]string) error {
	if len(children) == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for _, argv := range children {
		files := []uintptr{null.Fd(), null.Fd(), 2}
		pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: os.Environ(), Files: files})
		if err != nil {
			return fmt.Errorf("starting %q: %w", argv, err)
		}
		fmt.Fprintln(os.NewFile(1, "stdout"), pid) // the worker reads it before anything of supervise's
	}
	return nil
}

func readOnly(mount string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("", mount, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

// install puts this thread under the filter and sends the listener. What comes between the two calls would wait for an answer
// of the worker, which does not listen yet: so nothing comes, and the sending itself is let through by its descriptor.
func install(calls []uintptr) error {
	if os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	code := filter(calls)
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	rights := unix.UnixRights(-1)
	payload := []byte{0}
	iov := unix.Iovec{Base: &payload[0], Len: 1}
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &rights[0], Controllen: uint64(len(rights))}
	listener := (*int32)(unsafe.Pointer(&rights[unix.CmsgLen(0)]))
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // a signal has no call counted twice
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno == 0 {
		*listener = int32(fd)
		_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, farFD, uintptr(unsafe.Pointer(&msg)), 0)
	}
	if errno != 0 {
		return errors.Join(errors.New("installing the filter"), errno)
	}
	return nil
}

// filter reports these calls, or all that can be failed.
func filter(calls []uintptr) []unix.SockFilter {
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	pass := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	tell := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF}
	code := []unix.SockFilter{
		{Code: load, K: 0}, // nr
		{Code: equal, K: unix.SYS_SENDMSG, Jf: 4},
		{Code: load, K: 16}, // the lower half of the first argument
		{Code: equal, K: farFD, Jf: 1},
		pass,
		{Code: load, K: 0},
	}
	if len(calls) > 0 {
		for _, nr := range calls {
			code = append(code, unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1}, tell)
		}
		return append(code, pass)
	}
	for _, nr := range []uint32{unix.SYS_RT_SIGRETURN, unix.SYS_EXIT, unix.SYS_EXIT_GROUP} { // which return nothing
		code = append(code, unix.SockFilter{Code: equal, K: nr, Jf: 1}, pass)
	}
	return append(code, tell)
}
