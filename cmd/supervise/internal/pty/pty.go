// Package pty is a pseudo-terminal (pty(7)): a pair of descriptors, of which a job has the
// slave for its terminal, and supervise the master.
package pty

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open makes a pseudo-terminal with the modes that the kernel gives a new one: lines,
// echo, signals by keys. Both descriptors are the caller's; they are closed on exec, and
// neither becomes the controlling terminal of this process. The slave is opened by the
// master (TIOCGPTPEER, Linux 4.13), not by a path: /dev/pts may be another mount's.
//
// A process gets the slave for its controlling terminal by SysProcAttr{Setsid: true,
// Setctty: true} with the slave as descriptor 0.
func Open(rows, cols uint16) (master, slave int, err error) {
	master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	if slave, err = openSlave(master); err == nil {
		if err = SetSize(master, rows, cols); err == nil {
			return master, slave, nil
		}
		unix.Close(slave)
	}
	unix.Close(master)
	return -1, -1, err
}

func openSlave(master int) (int, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return -1, os.NewSyscallError("ioctl TIOCSPTLCK", err)
	}
	// Package unix has no ioctl that takes flags and returns a descriptor.
	flags := unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, uintptr(flags))
	if errno != 0 {
		return -1, os.NewSyscallError("ioctl TIOCGPTPEER", errno)
	}
	return int(slave), nil
}

// SetSize sets the size of the window by either descriptor. If that changes it, the
// kernel sends SIGWINCH to the foreground process group.
func SetSize(fd int, rows, cols uint16) error {
	size := unix.Winsize{Row: rows, Col: cols}
	return os.NewSyscallError("ioctl TIOCSWINSZ", unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &size))
}

// EOF is the character that means the end of the input to whoever reads lines (VEOF,
// termios(3)), by either descriptor; ok says that it means that now.
func EOF(fd int) (char byte, ok bool) {
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return 0, false
	}
	return modes.Cc[unix.VEOF], modes.Lflag&unix.ICANON != 0 && modes.Cc[unix.VEOF] != 0
}
