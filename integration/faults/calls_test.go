package faults

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// by says which argument tells a call from others of its kind.
type by int

const (
	byNothing by = iota
	byPath
	byFD
	byNumber
	byFDAndNumber // the descriptor is the first
)

// A kind of call, and the errors that its man page has for what supervise does with it: no error of a wrong argument (EBADF,
// EFAULT, EINVAL), and none that would say of a process or a file that it is not there while it is, where the kernel cannot say
// that. A filter (seccomp, LSM) refuses with EPERM, ENOSYS or EACCES; what it refuses for ever is another test's.
type kind struct {
	name   string
	by     by
	arg    int
	errnos []syscall.Errno
}

type errnos = []syscall.Errno

// calls has every call that supervise was seen to make itself. Those without errors cannot fail.
var calls = map[uintptr]kind{
	// Files.
	unix.SYS_OPENAT: {"openat", byPath, 1, errnos{unix.EINTR, unix.EACCES, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOENT}},
	unix.SYS_OPENAT2: {"openat2", byPath, 1, errnos{
		unix.EINTR, unix.EACCES, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN, unix.ENOSYS, unix.EPERM}},
	unix.SYS_READ:         {"read", byFD, 0, errnos{unix.EINTR, unix.EIO, unix.ENOMEM}},
	unix.SYS_PREAD64:      {"pread64", byFD, 0, errnos{unix.EINTR, unix.EIO, unix.ENOMEM}},
	unix.SYS_WRITE:        {"write", byFD, 0, nil}, // see writeErrnos
	unix.SYS_PWRITE64:     {"pwrite64", byFD, 0, nil},
	unix.SYS_WRITEV:       {"writev", byFD, 0, nil},
	unix.SYS_CLOSE:        {"close", byFD, 0, nil}, // one that fails has closed the descriptor, which a filter cannot do
	unix.SYS_LSEEK:        {"lseek", byFD, 0, nil},
	unix.SYS_GETDENTS64:   {"getdents64", byFD, 0, errnos{unix.ENOENT, unix.ENOMEM}},
	unix.SYS_FTRUNCATE:    {"ftruncate", byFD, 0, errnos{unix.EINTR, unix.EIO, unix.EPERM}},
	unix.SYS_FSTAT:        {"fstat", byFD, 0, errnos{unix.ENOMEM}},
	unix.SYS_FSTATFS:      {"fstatfs", byFD, 0, errnos{unix.EINTR, unix.EIO, unix.ENOMEM, unix.ENOSYS}},
	unix.SYS_STATFS:       {"statfs", byPath, 0, errnos{unix.EINTR, unix.EACCES, unix.ENOMEM, unix.ENOSYS}},
	unix.SYS_NEWFSTATAT:   {"newfstatat", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM}},
	unix.SYS_FACCESSAT:    {"faccessat", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM, unix.EIO}},
	unix.SYS_FACCESSAT2:   {"faccessat2", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM, unix.ENOSYS, unix.EPERM}},
	unix.SYS_READLINKAT:   {"readlinkat", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM, unix.EIO}},
	unix.SYS_FCHMOD:       {"fchmod", byFD, 0, errnos{unix.EPERM, unix.EROFS, unix.ENOMEM}},
	unix.SYS_FCHMODAT:     {"fchmodat", byPath, 1, errnos{unix.EPERM, unix.EROFS, unix.ENOMEM}},
	unix.SYS_FCHOWN:       {"fchown", byFD, 0, errnos{unix.EPERM, unix.EROFS, unix.ENOMEM}},
	unix.SYS_MKDIRAT:      {"mkdirat", byPath, 1, errnos{unix.EACCES, unix.EAGAIN, unix.EEXIST, unix.ENOENT, unix.ENOMEM, unix.ENOSPC, unix.EROFS, unix.EPERM}},
	unix.SYS_UNLINKAT:     {"unlinkat", byPath, 1, errnos{unix.EBUSY, unix.EACCES, unix.ENOMEM, unix.EROFS, unix.EPERM}},
	unix.SYS_RENAMEAT:     {"renameat", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOSPC, unix.EROFS, unix.EIO, unix.EDQUOT, unix.ENOMEM}},
	unix.SYS_RENAMEAT2:    {"renameat2", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOSPC, unix.EROFS, unix.EIO, unix.ENOSYS}},
	unix.SYS_LINKAT:       {"linkat", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOSPC, unix.EPERM, unix.EEXIST}},
	unix.SYS_FSETXATTR:    {"fsetxattr", byFD, 0, errnos{unix.ENOSPC, unix.ENOTSUP, unix.EPERM, unix.ENOMEM}},
	unix.SYS_GETXATTR:     {"getxattr", byPath, 0, errnos{unix.ENODATA, unix.ENOTSUP, unix.ENOMEM, unix.EACCES}},
	unix.SYS_FGETXATTR:    {"fgetxattr", byFD, 0, errnos{unix.ENODATA, unix.ENOTSUP, unix.ENOMEM}},
	unix.SYS_FREMOVEXATTR: {"fremovexattr", byFD, 0, errnos{unix.ENODATA, unix.ENOTSUP, unix.EPERM}},
	unix.SYS_FLOCK:        {"flock", byFD, 0, errnos{unix.EINTR, unix.ENOLCK, unix.EWOULDBLOCK}},
	unix.SYS_CHDIR:        {"chdir", byPath, 0, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM}},
	unix.SYS_FCHDIR:       {"fchdir", byFD, 0, errnos{unix.EACCES}},

	// Descriptors.
	unix.SYS_PIPE2:             {"pipe2", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE}},
	unix.SYS_SOCKETPAIR:        {"socketpair", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM}},
	unix.SYS_SOCKET:            {"socket", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EACCES}},
	unix.SYS_EVENTFD2:          {"eventfd2", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENODEV}},
	unix.SYS_SIGNALFD4:         {"signalfd4", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENODEV}},
	unix.SYS_TIMERFD_CREATE:    {"timerfd_create", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENODEV}},
	unix.SYS_TIMERFD_SETTIME:   {"timerfd_settime", byNothing, 0, errnos{unix.ENOMEM}},
	unix.SYS_TIMERFD_GETTIME:   {"timerfd_gettime", byNothing, 0, nil},
	unix.SYS_EPOLL_CREATE1:     {"epoll_create1", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM}},
	unix.SYS_EPOLL_CTL:         {"epoll_ctl", byNumber, 1, errnos{unix.ENOMEM, unix.ENOSPC}},
	unix.SYS_EPOLL_PWAIT:       {"epoll_pwait", byNothing, 0, errnos{unix.EINTR}},
	unix.SYS_INOTIFY_INIT1:     {"inotify_init1", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENOMEM}},
	unix.SYS_INOTIFY_ADD_WATCH: {"inotify_add_watch", byPath, 1, errnos{unix.EACCES, unix.ENOENT, unix.ENOMEM, unix.ENOSPC}},
	unix.SYS_INOTIFY_RM_WATCH:  {"inotify_rm_watch", byNothing, 0, nil},
	unix.SYS_DUP2:              {"dup2", byFD, 0, errnos{unix.EINTR}},
	unix.SYS_DUP:               {"dup", byFD, 0, errnos{unix.EMFILE}},
	unix.SYS_DUP3:              {"dup3", byFD, 0, errnos{unix.EINTR, unix.EMFILE}},
	unix.SYS_FCNTL:             {"fcntl", byFDAndNumber, 1, nil}, // see errnosOf
	unix.SYS_CLOSE_RANGE:       {"close_range", byNumber, 2, errnos{unix.EMFILE, unix.ENOMEM, unix.ENOSYS, unix.EPERM}},
	unix.SYS_IOCTL:             {"ioctl", byFDAndNumber, 1, errnos{unix.ENOTTY, unix.EIO}},
	unix.SYS_PPOLL:             {"ppoll", byNothing, 0, errnos{unix.EINTR, unix.ENOMEM}},
	unix.SYS_POLL:              {"poll", byNothing, 0, errnos{unix.EINTR, unix.ENOMEM}},
	unix.SYS_SENDMSG:           {"sendmsg", byFD, 0, errnos{unix.EINTR, unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS}},
	unix.SYS_SENDTO:            {"sendto", byFD, 0, errnos{unix.EINTR, unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS}},
	unix.SYS_RECVMSG:           {"recvmsg", byFD, 0, errnos{unix.EINTR, unix.EAGAIN, unix.ENOMEM}},
	unix.SYS_RECVFROM:          {"recvfrom", byFD, 0, errnos{unix.EINTR, unix.EAGAIN, unix.ENOMEM}},
	unix.SYS_SHUTDOWN:          {"shutdown", byFD, 0, nil},
	unix.SYS_GETSOCKOPT:        {"getsockopt", byFD, 0, nil},
	unix.SYS_SETSOCKOPT:        {"setsockopt", byFD, 0, errnos{unix.ENOMEM}},
	unix.SYS_GETSOCKNAME:       {"getsockname", byFD, 0, errnos{unix.ENOBUFS}},

	// Processes.
	unix.SYS_CLONE: {"clone", byNumber, 0, errnos{unix.EAGAIN, unix.ENOMEM, unix.EPERM}},
	unix.SYS_CLONE3: {"clone3", byNothing, 0, errnos{
		unix.EAGAIN, unix.ENOMEM, unix.EPERM, unix.EACCES, unix.EBUSY, unix.EOPNOTSUPP, unix.ENOSYS}},
	unix.SYS_EXECVE: {"execve", byPath, 0, errnos{
		unix.EACCES, unix.EAGAIN, unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOENT, unix.ENOMEM, unix.EPERM, unix.ETXTBSY, unix.E2BIG}},
	unix.SYS_WAITID:            {"waitid", byNumber, 3, errnos{unix.EINTR}},
	unix.SYS_WAIT4:             {"wait4", byNumber, 2, errnos{unix.EINTR}},
	unix.SYS_KILL:              {"kill", byNumber, 1, errnos{unix.EPERM}},
	unix.SYS_TGKILL:            {"tgkill", byNumber, 2, errnos{unix.EPERM, unix.EAGAIN}},
	unix.SYS_PIDFD_OPEN:        {"pidfd_open", byNothing, 0, errnos{unix.EMFILE, unix.ENFILE, unix.ENODEV, unix.ENOMEM, unix.ENOSYS, unix.EPERM}},
	unix.SYS_PIDFD_SEND_SIGNAL: {"pidfd_send_signal", byNumber, 1, errnos{unix.EPERM, unix.ENOSYS}},
	unix.SYS_SETPGID:           {"setpgid", byNothing, 0, errnos{unix.EPERM}},
	unix.SYS_SETSID:            {"setsid", byNothing, 0, errnos{unix.EPERM}},
	unix.SYS_PRCTL:             {"prctl", byNumber, 0, errnos{unix.EPERM, unix.ENOSYS, unix.EINVAL}},
	unix.SYS_PRLIMIT64:         {"prlimit64", byNumber, 1, errnos{unix.EPERM, unix.ENOSYS}},
	unix.SYS_SETPRIORITY:       {"setpriority", byNothing, 0, errnos{unix.EACCES, unix.EPERM}},
	unix.SYS_RT_SIGQUEUEINFO:   {"rt_sigqueueinfo", byNumber, 1, errnos{unix.EAGAIN, unix.EPERM}},
	unix.SYS_RT_TGSIGQUEUEINFO: {"rt_tgsigqueueinfo", byNumber, 2, errnos{unix.EAGAIN, unix.EPERM}},
	unix.SYS_RT_SIGTIMEDWAIT:   {"rt_sigtimedwait", byNothing, 0, errnos{unix.EINTR, unix.EAGAIN}},
	unix.SYS_GETRANDOM:         {"getrandom", byNothing, 0, errnos{unix.EINTR, unix.EAGAIN, unix.ENOSYS}},
	unix.SYS_RT_SIGACTION:      {"rt_sigaction", byNumber, 0, nil},
	unix.SYS_RT_SIGPROCMASK:    {"rt_sigprocmask", byNothing, 0, nil},
	unix.SYS_RT_SIGPENDING:     {"rt_sigpending", byNothing, 0, nil},
	unix.SYS_SIGALTSTACK:       {"sigaltstack", byNothing, 0, nil},
	unix.SYS_GETRUSAGE:         {"getrusage", byNothing, 0, nil},
	unix.SYS_GETRLIMIT:         {"getrlimit", byNumber, 0, nil},
	unix.SYS_GETPID:            {"getpid", byNothing, 0, nil},
	unix.SYS_GETPPID:           {"getppid", byNothing, 0, nil},
	unix.SYS_GETTID:            {"gettid", byNothing, 0, nil},
	unix.SYS_GETPGID:           {"getpgid", byNothing, 0, nil},
	unix.SYS_GETSID:            {"getsid", byNothing, 0, nil},
	unix.SYS_GETUID:            {"getuid", byNothing, 0, nil},
	unix.SYS_GETEUID:           {"geteuid", byNothing, 0, nil},
	unix.SYS_GETGID:            {"getgid", byNothing, 0, nil},
	unix.SYS_GETEGID:           {"getegid", byNothing, 0, nil},
	unix.SYS_CLOCK_GETTIME:     {"clock_gettime", byNothing, 0, nil},
	unix.SYS_UNAME:             {"uname", byNothing, 0, nil},
	unix.SYS_UMASK:             {"umask", byNothing, 0, nil},

	// Memory and threads: Go's runtime makes these, and we some.
	unix.SYS_MMAP:              {"mmap", byNothing, 0, errnos{unix.ENOMEM, unix.EAGAIN}},
	unix.SYS_MUNMAP:            {"munmap", byNothing, 0, errnos{unix.ENOMEM}},
	unix.SYS_MPROTECT:          {"mprotect", byNothing, 0, errnos{unix.ENOMEM, unix.EACCES}},
	unix.SYS_MADVISE:           {"madvise", byNumber, 2, errnos{unix.EAGAIN, unix.ENOMEM, unix.EINVAL}},
	unix.SYS_MINCORE:           {"mincore", byNothing, 0, errnos{unix.EAGAIN, unix.ENOMEM}},
	unix.SYS_FUTEX:             {"futex", byNumber, 1, errnos{unix.EINTR}},
	unix.SYS_NANOSLEEP:         {"nanosleep", byNothing, 0, errnos{unix.EINTR}},
	unix.SYS_SCHED_YIELD:       {"sched_yield", byNothing, 0, nil},
	unix.SYS_SCHED_GETAFFINITY: {"sched_getaffinity", byNothing, 0, errnos{unix.EPERM, unix.ENOSYS}},
	unix.SYS_ARCH_PRCTL:        {"arch_prctl", byNumber, 0, nil},
	unix.SYS_SET_ROBUST_LIST:   {"set_robust_list", byNothing, 0, nil},
	unix.SYS_SETITIMER:         {"setitimer", byNothing, 0, nil},
	unix.SYS_TIMER_CREATE:      {"timer_create", byNothing, 0, errnos{unix.EAGAIN, unix.ENOMEM}},
}

// writeErrnos are those of a write to a cgroup's file (kernfs needs memory, and the cgroup may have been removed), to a pipe
// or a socket, and to a file.
func writeErrnos(detail string) errnos {
	switch {
	case strings.HasSuffix(detail, handler):
		return nil // to a pipe of its own, which when it is full wakes the loop as well
	case strings.HasSuffix(detail, "cgroup.kill"), strings.HasSuffix(detail, "cgroup.freeze"):
		return errnos{unix.EINTR, unix.ENODEV, unix.ENOMEM, unix.EOPNOTSUPP, unix.EPERM}
	case strings.HasSuffix(detail, "cgroup.procs"), strings.HasSuffix(detail, "cgroup.subtree_control"):
		return errnos{unix.EINTR, unix.EBUSY, unix.ENODEV, unix.EPERM, unix.EACCES, unix.ENOMEM, unix.EOPNOTSUPP}
	case strings.Contains(detail, "cgroup."), strings.Contains(detail, ".max"):
		return errnos{unix.EINTR, unix.ENODEV, unix.ENOMEM}
	case strings.HasPrefix(detail, "pipe:"), strings.HasPrefix(detail, "socket:"), strings.HasPrefix(detail, "anon_inode:"):
		return errnos{unix.EINTR, unix.EAGAIN}
	}
	return errnos{unix.EINTR, unix.EIO, unix.ENOSPC, unix.EDQUOT, unix.EFBIG}
}

// ofProcess are files of /proc/PID, which are there for as long as the process is.
var ofProcess = []string{"proc", "self", "stat", "comm", "cmdline", "status", "children", "task", "fd", "exe", "limits", "maps", "smaps"}

// futexWakePrivate is FUTEX_WAKE | FUTEX_PRIVATE_FLAG (linux/futex.h).
const futexWakePrivate = 0x81

// errnosOf are the errors that a call may have; not ok: it is not in the table.
func errnosOf(c call) (list errnos, ok bool) {
	k, ok := calls[c.Nr]
	switch c.Nr {
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV:
		return writeErrnos(c.Detail), true
	case unix.SYS_FCNTL:
		if strings.HasSuffix(c.Detail, fmt.Sprintf(" %#x", unix.F_DUPFD_CLOEXEC)) || strings.HasSuffix(c.Detail, fmt.Sprintf(" %#x", unix.F_DUPFD)) {
			return errnos{unix.EMFILE}, true
		}
		return nil, true
	case unix.SYS_FUTEX:
		if strings.HasSuffix(c.Detail, fmt.Sprintf("%#x", futexWakePrivate)) {
			return nil, true // only waiting can be interrupted; a wake-up that was not made is lost to Go's runtime
		}
	case unix.SYS_READ:
		if strings.HasPrefix(c.Detail, "pipe:") {
			return errnos{unix.EINTR}, true
		}
		if strings.HasPrefix(c.Detail, "anon_inode:") || strings.HasPrefix(c.Detail, "socket:") {
			return errnos{unix.EINTR, unix.EAGAIN}, true
		}
	}
	if slices.Contains(ofProcess, c.Detail) {
		return slices.DeleteFunc(slices.Clone(k.errnos), func(e syscall.Errno) bool { return e == unix.ENOENT }), ok
	}
	return k.errnos, ok
}

func callName(nr uintptr) string {
	if k, ok := calls[nr]; ok {
		return k.name
	}
	return fmt.Sprintf("call %d", nr)
}
