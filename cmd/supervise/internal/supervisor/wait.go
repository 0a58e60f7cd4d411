package supervisor

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// errNone says that no child has changed status.
const errNone = unix.EAGAIN

// waitChild takes one status change of any child from the kernel: the one place
// that waits. It returns errNone if there is none, ECHILD if there is no child.
func waitChild() (*protocol.Event, error) {
	e, err := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG)
	if err == nil && e.PID() == 0 {
		return nil, errNone
	}
	return e, err
}

// isChild says whether pid is a child of ours, living or zombie.
func isChild(pid int) bool {
	_, err := waitid(unix.P_PID, pid, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG|unix.WNOWAIT)
	return err == nil
}

// waitid fills an event with what the kernel writes, byte for byte; the cast
// saves us a copy of siginfo_t field by field, and the sizes are equal by
// definition (SI_MAX_SIZE).
func waitid(idType, id, options int) (*protocol.Event, error) {
	var e protocol.Event
	for {
		err := unix.Waitid(idType, id, (*unix.Siginfo)(unsafe.Pointer(&e)), options, nil)
		if err != unix.EINTR {
			return &e, err
		}
	}
}
