package signals

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// stubbed are the signals that this process cannot ignore while it forks a program that
// is to: with SIGCHLD the kernel would throw away the status of each child that ends
// meanwhile, and of those that Go's runtime keeps to itself it resets the action in the
// child. Such a program is executed by a stub, which is this program.
//
// Signal 33 alone is no reason for a stub: it is the C library's own (SIGSETXID), whose
// posix_spawn(3) has every child ignore it, and no program could tell.
var stubbed = kept&^passing&^setOf(33) | setOf(unix.SIGCHLD)

// stubName is argv[0] of the stub. Its arguments are the signals to ignore as a number, a
// descriptor for a report, the path and the arguments of the program.
const stubName = "supervise: signals"

// startByStub starts a program by the stub, which reports the errno of a failed execve
// through a pipe that a successful one closes.
func startByStub(start func(string, []string, *syscall.ProcAttr) (int, error), path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(pipe[0])
	// Above the program's own descriptors, which take their places between fork and execve.
	report, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD, len(attr.Files))
	unix.Close(pipe[1])
	if err != nil {
		return 0, os.NewSyscallError("fcntl", err)
	}
	args := append([]string{stubName, strconv.FormatUint(uint64(ignored&(kept|stubbed)), 10), strconv.Itoa(report), path}, argv...)
	pid, err := start("/proc/self/exe", args, attr)
	unix.Close(report)
	if err != nil {
		return pid, err
	}
	if errno := readErrno(pipe[0]); errno != 0 {
		unix.Wait4(pid, nil, 0, nil) // it exits
		return 0, errno
	}
	return pid, nil
}

// readErrno reads the report; 0: the program was executed, or the stub was killed.
func readErrno(fd int) syscall.Errno {
	var b [8]byte
	n, err := unix.Read(fd, b[:])
	for err == unix.EINTR {
		n, err = unix.Read(fd, b[:])
	}
	errno, _ := strconv.Atoi(string(b[:max(n, 0)]))
	return syscall.Errno(errno)
}

// Init must be called first thing in main. It does nothing, unless this process is the
// stub: then it does not return.
func Init() {
	if len(os.Args) < 5 || os.Args[0] != stubName {
		return
	}
	which, err1 := strconv.ParseUint(os.Args[1], 10, 64)
	report, err2 := strconv.Atoi(os.Args[2])
	if err1 != nil || err2 != nil {
		os.Exit(125)
	}
	unix.CloseOnExec(report)
	passing.each(func(sig unix.Signal) { sigaction(sig, &action{handler: sigDefault}, nil) })
	set(which).each(func(sig unix.Signal) { sigaction(sig, &action{handler: sigIgnore}, nil) })
	path, argv := os.Args[3], os.Args[4:]
	err := syscall.Exec(path, argv, os.Environ())
	if err == unix.ENOEXEC { // as execvp(3) does
		err = syscall.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), os.Environ())
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	unix.Write(report, []byte(strconv.Itoa(int(errno))))
	os.Exit(125)
}
