package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Filter has system calls refused, as the seccomp filter of a container does, in a program and all that it executes.
type Filter struct {
	Calls []uintptr
	Errno syscall.Errno
}

// set installs the filter for all threads of the calling process. It is for one architecture: a number is not checked for it.
func (f Filter) set() error {
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the number of the call
	for _, call := range f.Calls {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(call)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(f.Errno)})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return errno
	}
	return nil
}

// filterEnv in the environment turns a test binary into the program of its arguments, with the filter.
const filterEnv = "SUPERVISE_TEST_FILTER"

// Command returns what to execute, and with which variable, to have a program executed with the filter.
func (f Filter) Command(argv ...string) (args []string, env string, err error) {
	exe, err := os.Executable()
	env = fmt.Sprintf("%s=%d", filterEnv, int(f.Errno))
	for _, call := range f.Calls {
		env += fmt.Sprintf(" %d", call)
	}
	return append([]string{exe}, argv...), env, err
}

func init() {
	text, ok := os.LookupEnv(filterEnv)
	if !ok {
		return
	}
	os.Unsetenv(filterEnv)
	var f Filter
	for i, field := range strings.Fields(text) {
		var n uintptr
		fmt.Sscan(field, &n)
		if i == 0 {
			f.Errno = syscall.Errno(n)
		} else {
			f.Calls = append(f.Calls, n)
		}
	}
	path, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = f.set()
	}
	if err == nil {
		err = syscall.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "executing with a filter:", err)
	os.Exit(99)
}
