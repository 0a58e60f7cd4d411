package guardian

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Sentinel is a twin that stays in the cgroup that this process leaves, as what ends that
// cgroup is to end the job too: the sentinel hands on the signals that it is sent, and its
// own end tells of a SIGKILL. So the cgroup is not empty before the job is over, either.
// The sentinel ends with this process. It belongs to one goroutine.
type Sentinel struct {
	pid    int
	socket int // our end: a signalfd_siginfo for each signal, and the end of it
}

// infoSize is the size of a signalfd_siginfo (signalfd(2)).
const infoSize = 128

// Post forks the sentinel. It hands on the given signals; all others but SIGKILL and SIGSTOP
// do nothing to it. To waitid(2) it is as the guardian is.
func Post(signals []unix.Signal) (*Sentinel, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	set := setOf(signals)
	fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK)
	if err != nil {
		unix.Close(pair[1])
		return nil, os.NewSyscallError("signalfd", err)
	}
	defer unix.Close(fd)
	t := &plan
	*t = twin{all: ^uint64(0), pipe: uintptr(pair[0]), name: &sentinelName, signals: uintptr(fd), pidfd: -1}
	t.polled = [2]unix.PollFd{{Fd: int32(pair[0]), Events: unix.POLLIN}, {Fd: int32(fd), Events: unix.POLLIN}}
	t.closing = gaps([]int{pair[0], fd})
	pid, errno := fork(t)
	if errno != 0 {
		unix.Close(pair[1])
		return nil, fmt.Errorf("forking the sentinel: %w", errno)
	}
	unix.Close(int(t.pidfd)) // the socket tells of its death
	return &Sentinel{pid: int(pid), socket: pair[1]}, nil
}

// PID returns the sentinel's process id.
func (s *Sentinel) PID() int { return s.pid }

// FD returns a descriptor that is readable when Read has something to return.
func (s *Sentinel) FD() int { return s.socket }

// Read takes a signal that was sent to the sentinel, and the pid of its sender, 0 if that is
// the kernel or is not known. It is SIGKILL if the sentinel is dead, and 0 if there is none.
func (s *Sentinel) Read() (sig unix.Signal, from int) {
	var info [infoSize]byte
	n, err := unix.Read(s.socket, info[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, 0
	case n < infoSize:
		return unix.SIGKILL, 0
	}
	return parseSent(&info)
}

// parseSent reads a signalfd_siginfo.
func parseSent(info *[infoSize]byte) (sig unix.Signal, from int) {
	field := func(offset int) int { return int(int32(binary.NativeEndian.Uint32(info[offset:]))) }
	if code := field(8); code <= 0 { // SI_USER, SI_QUEUE, SI_TKILL: a process, not the kernel
		from = field(12)
	}
	return unix.Signal(field(0)), from
}

// setOf is a sigset_t.
func setOf(signals []unix.Signal) (set unix.Sigset_t) {
	for _, sig := range signals {
		set.Val[(sig-1)/64] |= 1 << ((sig - 1) % 64)
	}
	return set
}

// Dismiss ends the sentinel and waits for it. The descriptor is closed then.
func (s *Sentinel) Dismiss() {
	unix.Close(s.socket)
	finish(s.pid)
}
