package cgroup

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A Trigger tells when processes of a job had to wait for a resource for too long
// (psi.rst, "Monitoring for pressure thresholds", Linux 5.2).
type Trigger struct {
	Resource string        // cpu, memory or io
	Full     bool          // all processes waited at the same time, not just some
	Stall    time.Duration // of waiting
	Window   time.Duration // in so long: 500 ms to 10 s; for users without CAP_SYS_RESOURCE a multiple of 2 s (Linux 6.6, before they get EPERM)
}

// Trigger arms a trigger. The descriptor is the caller's to poll for POLLPRI, and to
// close; POLLERR says that the job's directory is gone. The error wraps EINVAL for
// times that the kernel does not take, EOPNOTSUPP without PSI.
func (j *Job) Trigger(t Trigger) (fd int, err error) {
	file, line := t.Resource+".pressure", "some"
	if t.Full {
		line = "full"
	}
	if fd, err = j.node.open(file, unix.O_RDWR|unix.O_NONBLOCK); err != nil {
		return -1, err
	}
	value := fmt.Sprintf("%s %d %d", line, t.Stall.Microseconds(), t.Window.Microseconds())
	if _, err := unix.Write(fd, append([]byte(value), 0)); err != nil {
		unix.Close(fd)
		return -1, j.node.fail(fmt.Sprintf("write %q to", value), file, err)
	}
	return fd, nil
}
