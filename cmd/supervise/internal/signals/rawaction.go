package signals

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// One of two unsafe files of the package: rt_sigaction(2), which no library offers, since
// Go's runtime takes handlers for its own.

// An action is the kernel's struct sigaction for amd64, arm64 and others of the generic
// layout. The field restorer is not there on all of them; those have no flag for it.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const sigDefault, sigIgnore = 0, 1

func sigaction(sig unix.Signal, set, old *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(set.mask), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}
