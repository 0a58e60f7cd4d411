package jobs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// beacon is the byte, far behind the end of any file, that a supervisor locks which holds its
// job by descent: "supervis" as a number.
const beacon = 0x7375706572766973

// Announce lets Find know this process for a supervisor that holds a job by descent. It
// locks a byte of a file of proc(5) that no other part of supervise opens, by fcntl(2): the kernel
// lists the lock with the process in /proc/locks, gives it to no child, and takes it back with
// the process. An error is none: the job is not listed then.
//
// The descriptor, -1 if there is none, is to stay open: to close any of that file gives the lock
// back.
func Announce() (fd int) {
	fd, err := unix.Open("/proc/self/comm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	l := unix.Flock_t{Type: unix.F_RDLCK, Whence: unix.SEEK_SET, Start: beacon, Len: 1}
	if unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &l) != nil {
		unix.Close(fd)
		return -1
	}
	return fd
}

// announced lists the processes that have the lock, from the text of /proc/locks:
//
//	1: POSIX  ADVISORY  READ  1234 00:16:5678 8319679467651230067 8319679467651230067
func announced(locks []byte) (pids []int) {
	for _, l := range proc.ParseLocks(locks) {
		if l.Kind == "POSIX" && l.Start == strconv.Itoa(beacon) && l.PID > 0 {
			pids = append(pids, l.PID)
		}
	}
	return pids
}

// supervisors are the processes that have announced themselves.
func supervisors() []int {
	text, err := proc.ReadFile("/proc/locks", 0)
	if err != nil {
		return nil
	}
	return announced(text)
}
