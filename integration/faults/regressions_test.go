package faults

import (
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A regression is a call that had a wrong end when it failed. CI always tries it.
type regression struct {
	scenario string
	call     string // the role, the name and, if that matters, the detail
	errnos   []syscall.Errno
}

func (r regression) is(a attempt) bool {
	return r.scenario == a.Scenario && slices.Contains(r.errnos, a.Fault.Errno) &&
		(a.Fault.Call.String() == r.call || strings.HasPrefix(a.Fault.Call.String(), r.call+" "))
}

var regressions = []regression{
	// What a guardian lacks once it had not tried again.
	{"binary-killed/subreaper", "child execve exe", errnos{unix.ENOMEM, unix.EMFILE}},
	{"binary-killed/subreaper", "child openat proc", errnos{unix.ENOMEM}},
	{"binary-killed/subreaper", "child pidfd_send_signal", errnos{unix.EPERM}},
	{"binary-killed/cgroup", "child getdents64", errnos{unix.ENOMEM}},
	{"killed/cgroup", "child execve exe", errnos{unix.ENOMEM}},
	// There was no guardian, or some process not known to it, and no word about it.
	{"binary-killed/subreaper", "supervise clone 0x1000", errnos{unix.EAGAIN}},
	{"binary-killed/subreaper", "supervise pipe2", errnos{unix.EMFILE}},
	{"binary-killed/subreaper", "supervise prlimit64", errnos{unix.EPERM}},
	// The children outlived a supervise that could not come up.
	{"binary/cgroup", "supervise prctl 0x24", errnos{unix.EINVAL}},
	{"binary/subreaper", "supervise pipe2", errnos{unix.ENFILE}},
	{"binary/subreaper", "supervise readlinkat self", errnos{unix.EIO}},
	// A guardian that may have no session of its own was waited for without end.
	{"run/cgroup", "child setsid", errnos{unix.EPERM}},
	{"serve/cgroup", "child setsid", errnos{unix.EPERM}},
	// A second line, which was wrong.
	{"run/subreaper", "child faccessat .", errnos{unix.EACCES}},
	{"timeout/subreaper", "child openat2", errnos{unix.EMFILE}},
	// A directory that no supervise would have removed.
	{"run/cgroup", "supervise flock", errnos{unix.ENOLCK, unix.EAGAIN}},
	{"serve/cgroup", "supervise flock", errnos{unix.ENOLCK}},
	// A supervise that was told nothing by the guardian between it and the job; and one whose guardian had not got what it
	// was to do, with the job for an orphan.
	{"run/subreaper", "child waitid 0xf", errnos{unix.EINTR}},
	{"run/subreaper", "child write anon_inode:[eventfd]", errnos{unix.EAGAIN}},
	{"run/subreaper", "child write socket:[N]", errnos{unix.EAGAIN}},
	{"run/subreaper", "supervise madvise 0xb", errnos{unix.ENOMEM}},
	// A wrong pid, and events that were lost.
	{"serve/subreaper", "child sendmsg", errnos{unix.ENOBUFS, unix.EAGAIN}},
	{"serve/cgroup", "supervise recvfrom", errnos{unix.ENOMEM}},
	{"serve/subreaper", "supervise recvfrom", errnos{unix.ENOMEM}},
	// Leftovers that were not counted.
	{"run/cgroup", "supervise openat stat", errnos{unix.EMFILE}},
	{"run/cgroup", "supervise openat2 cgroup.procs", errnos{unix.EACCES}},
	{"serve/cgroup", "supervise openat stat", errnos{unix.ENOMEM}},
}
