package integration

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A refusal is a set of system calls that a filter refuses together, as older ones do those that they do not know.
type refusal struct {
	name  string
	calls []uintptr
}

func one(name string, call uintptr) refusal { return refusal{name, []uintptr{call}} }

var refusals = []refusal{
	one("pidfd_open", unix.SYS_PIDFD_OPEN),
	one("pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL),
	one("waitid", unix.SYS_WAITID),
	one("ppoll", unix.SYS_PPOLL),
	one("clone3", unix.SYS_CLONE3),
	one("close_range", unix.SYS_CLOSE_RANGE),
	one("openat2", unix.SYS_OPENAT2),
	one("getrandom", unix.SYS_GETRANDOM),
	one("prctl", unix.SYS_PRCTL),
	one("inotify_init1", unix.SYS_INOTIFY_INIT1),
	one("inotify_add_watch", unix.SYS_INOTIFY_ADD_WATCH),
	one("timerfd_create", unix.SYS_TIMERFD_CREATE),
	one("timerfd_settime", unix.SYS_TIMERFD_SETTIME),
	one("signalfd4", unix.SYS_SIGNALFD4),
	one("epoll_create1", unix.SYS_EPOLL_CREATE1),
	one("epoll_ctl", unix.SYS_EPOLL_CTL),
	one("epoll_pwait", unix.SYS_EPOLL_PWAIT),
	one("socketpair", unix.SYS_SOCKETPAIR),
	one("pipe2", unix.SYS_PIPE2),
	one("getdents64", unix.SYS_GETDENTS64),
	one("statfs", unix.SYS_FSTATFS),
	one("setxattr", unix.SYS_FSETXATTR),
	one("flock", unix.SYS_FLOCK),
	one("madvise", unix.SYS_MADVISE),
	one("setpgid", unix.SYS_SETPGID),
	one("getpgid", unix.SYS_GETPGID),
	one("prlimit64", unix.SYS_PRLIMIT64),
	one("mkdirat", unix.SYS_MKDIRAT),
	one("kill", unix.SYS_KILL),
	one("sendmsg", unix.SYS_SENDMSG),
	one("recvfrom", unix.SYS_RECVFROM),
	{"all newer than 4.18", []uintptr{
		unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIDFD_OPEN, unix.SYS_CLONE3, unix.SYS_CLOSE_RANGE, unix.SYS_OPENAT2, unix.SYS_FACCESSAT2,
	}},
}

func init() {
	if runtime.GOARCH == "amd64" {
		refusals = append(refusals, one("poll", 7)) // other processors have ppoll alone
	}
}

// TestFilters: whatever system call a filter refuses, the job is as it should be, or there is one line and 125. Nothing is left, and
// nothing hangs.
func TestFilters(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			for _, errno := range []syscall.Errno{unix.ENOSYS, unix.EPERM} {
				if testing.Short() && errno == unix.EPERM {
					continue
				}
				for what, w := range ways {
					t.Run(errno.Error()+"/"+what, func(t *testing.T) { r.try(t, errno, w) })
				}
			}
		})
	}
}

// fellBack says whether supervise has said, where systemd would make a cgroup, that it does without, and no more.
func (o outcome) fellBack() bool {
	return managed && strings.Count(o.stderr, "\n") == 1 && strings.Contains(o.stderr, "the job is held without a cgroup")
}

func (r refusal) try(t *testing.T, errno syscall.Errno, w way) {
	if w.cgroup {
		needCgroup(t)
	}
	script := fmt.Sprintf(strings.ReplaceAll(w.script, "exit 7", "setsid sleep 1000 & exit 7"), bin.supervise)
	if w.script == "exec %s" {
		script = "setsid sleep 1000 & " + script
	}
	args, env, err := testbed.Filter{Calls: r.calls, Errno: errno}.Command("sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	p := newBox(t).start(launch{argv: args, env: []string{env}, deadline: 30 * time.Second})
	p.stdin.WriteString(strings.ReplaceAll(w.input, `["true"]`, `["sh","-c","setsid sleep 1000 & exit 7"]`))
	p.closeStdin()
	o := p.wait()
	t.Logf("%d %q %v", o.code, o.stderr, o.took.Round(time.Millisecond))
	switch {
	case o.code == w.status && (o.stderr == "" || o.fellBack()):
	case o.code != 125 || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "supervise: "):
		t.Errorf("status %d, signal %v, stderr %q", o.code, o.signal, o.stderr)
	}
	if o.took > 15*time.Second {
		t.Errorf("it took %v", o.took)
	}
}
