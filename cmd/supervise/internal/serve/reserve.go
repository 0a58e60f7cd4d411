package serve

import (
	"os"

	"golang.org/x/sys/unix"
)

// maxReserve is how many descriptors are kept from the owner: to end a job, and to read
// its counters, needs some.
const maxReserve = 32

// ownerFDs is the number below which descriptors for the owner's jobs are to be.
func ownerFDs() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024
	}
	n := int(min(limit.Cur, 1<<30))
	return n - min(maxReserve, n/4)
}

// checkDescriptorReserve says whether what was opened for a job leaves enough: the next descriptor is the
// lowest that is free (open(2)), so that none below it is.
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
