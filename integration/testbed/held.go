package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Held are the signals that a program finds ignored, and those that it finds blocked, when it is executed. Signal n is bit
// n-1. All others have their default action.
type Held struct{ Ignore, Block uint64 }

// Signals returns a set of signals.
func Signals(list ...syscall.Signal) (set uint64) {
	for _, sig := range list {
		set |= 1 << (sig - 1)
	}
	return set
}

// AllSignals are all that can be ignored and blocked.
var AllSignals = ^Signals(unix.SIGKILL, unix.SIGSTOP)

// Each calls f for each signal of a set.
func Each(set uint64, f func(syscall.Signal)) {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if set&Signals(sig) != 0 {
			f(sig)
		}
	}
}

// String names them as proc(5) does, in two lines.
func (h Held) String() string {
	return fmt.Sprintf("SigBlk:\t%016x\nSigIgn:\t%016x\n", h.Block, h.Ignore)
}

// Set ignores and blocks them in the calling thread, which is to execute a program next: Go's runtime does not know of it.
func (h Held) Set() error {
	var failed error
	Each(AllSignals, func(sig syscall.Signal) {
		var action [4]uint64 // the kernel's struct sigaction, which begins with the handler: SIG_DFL or SIG_IGN
		if h.Ignore&Signals(sig) != 0 {
			action[0] = 1
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if errno != 0 {
			failed = fmt.Errorf("signal %d: %w", sig, errno)
		}
	})
	if failed != nil {
		return failed
	}
	return unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{Val: [16]uint64{h.Block}}, nil)
}

// heldEnv in the environment turns a test binary into the program of its arguments, with the signals held.
const heldEnv = "SUPERVISE_TEST_HELD"

// Command returns what to execute, and with which variable, to have a program executed with the signals held.
func (h Held) Command(argv ...string) (args []string, env string, err error) {
	exe, err := os.Executable()
	return append([]string{exe}, argv...), fmt.Sprintf("%s=%d %d", heldEnv, h.Ignore, h.Block), err
}

func init() {
	var h Held
	text, ok := os.LookupEnv(heldEnv)
	if !ok {
		return
	}
	os.Unsetenv(heldEnv)
	_, err := fmt.Sscan(text, &h.Ignore, &h.Block)
	var path string
	if err == nil {
		path, err = exec.LookPath(os.Args[1])
	}
	if err == nil {
		err = h.Set()
	}
	if err == nil {
		err = syscall.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "executing with signals held:", err)
	os.Exit(99)
}
