package serve

import (
	"os"

	"golang.org/x/sys/unix"
)

// maxReserve is how many descriptors the server keeps for itself. To end a job and to
// read its counters needs some: without a reserve an owner that starts jobs up to
// RLIMIT_NOFILE would have jobs that cannot be ended.
const maxReserve = 32

// heldFDs is the number below which the descriptors of a job's cgroup.kill and cgroup.events stay
// open. Each open descriptor makes every later start slower, by 0.5 us: the kernel copies it for
// the child, and closes it at execve.
const heldFDs = 256

// ownerFDs is the number below which all descriptors for jobs must be. Of a small limit a
// quarter is kept, so that there is room for jobs in any case. 1024 is the usual soft
// limit.
func ownerFDs() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024
	}
	n := int(min(limit.Cur, 1<<30))
	return n - min(maxReserve, n/4)
}

// checkDescriptorReserve says whether what was opened for a job leaves the reserve: the
// kernel gives the lowest number that is free (open(2)), so one more descriptor shows how
// far they reach. EMFILE becomes -32003.
func (v *server) checkDescriptorReserve() error {
	fd, err := unix.FcntlInt(uintptr(v.null), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	unix.Close(fd)
	if fd >= v.ownerFDs {
		return unix.EMFILE
	}
	return nil
}
