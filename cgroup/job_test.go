package cgroup

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestJobCPU: user and system time are told apart, and one that is missing is an error.
func TestJobCPU(t *testing.T) {
	for text, want := range map[string][2]uint64{
		"usage_usec 7\nuser_usec 5\nsystem_usec 2\n": {5, 2},
		"usage_usec 7\nuser_usec 5\n":                {},
		"usage_usec 7\nsystem_usec 2\n":              {},
	} {
		j := &Job{node: plainDir(t, map[string]string{"cpu.stat": text})}
		user, system, err := j.CPU()
		if user != want[0] || system != want[1] || errors.Is(err, errors.ErrUnsupported) != (want[0] == 0) {
			t.Errorf("%q: %d, %d, %v", text, user, system, err)
		}
	}
}

// TestEmptyUnknown: a job whose cgroup.events cannot be read is not called empty.
func TestEmptyUnknown(t *testing.T) {
	if empty, err := (&Job{node: plainDir(t, nil), s: &Session{}}).Empty(); empty || err == nil {
		t.Errorf("%v, %v", empty, err)
	}
}

// TestNewJobFails: a job that cannot be made leaves no directory.
func TestNewJobFails(t *testing.T) {
	s := newSession(t, testRoot(t))
	if err := s.write("cgroup.max.depth", "1"); err != nil {
		t.Fatal(err)
	}
	if j, err := s.NewJob("x"); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("below the depth that is allowed: %v, %v", j, err)
	}
	if names, err := s.subdirs(); err != nil || len(names) != 0 {
		t.Errorf("left %v, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestNumbers: the number added to a name that is taken is that of the jobs made.
func TestNumbers(t *testing.T) {
	s := newSession(t, testRoot(t))
	var names []string
	for _, name := range []string{"a", "b", "a", "a"} {
		j, err := s.NewJob(name)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, j.Name())
		defer s.Close()
		defer j.Close()
	}
	if want := []string{"a", "b", "a-3", "a-4"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if s.made != 4 || s.gone != 0 {
		t.Errorf("%d made, %d gone", s.made, s.gone)
	}
}

// TestMarks: a job node carries the name of the job. A nested supervisor reads it, and so does
// "supervise list".
func TestMarks(t *testing.T) {
	s := newSession(t, testRoot(t))
	j, err := s.NewJob("a/b")
	if err != nil {
		t.Fatal(err)
	}
	var buf [16]byte
	n, err := unix.Fgetxattr(j.node.fd, xattrJob, buf[:])
	if err != nil || string(buf[:n]) != "a/b" || path.Base(j.Path()) != "a_b" {
		t.Errorf("%s is marked %q, %v", j.Path(), buf[:max(n, 0)], err)
	}
	if err := j.Close(); err != nil || s.gone != 1 {
		t.Errorf("%d gone, %v", s.gone, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOneDescriptor: a job that sleeps holds one descriptor, however it was started.
func TestOneDescriptor(t *testing.T) {
	j := newJob(t)
	for name, start := range map[string]func(string, []string, *syscall.ProcAttr) (int, error){"born": j.Start, "joining": j.startJoining} {
		if _, err := j.leaf(); err != nil {
			t.Fatal(err)
		}
		pid, err := start("/bin/true", []string{"true"}, attr())
		if err != nil {
			t.Fatal(err)
		}
		wait(t, pid)
		if j.main.fd >= 0 {
			t.Errorf("%s: the leaf is open", name)
		}
	}
}

// TestStartSys keeps the caller's attributes, which it does not change.
func TestStartSys(t *testing.T) {
	j := newJob(t)
	a := attr()
	a.Sys = &syscall.SysProcAttr{Setsid: true}
	pid, err := j.Start("/bin/sleep", []string{"sleep", "100"}, a)
	if err != nil {
		t.Fatal(err)
	}
	if sid, err := unix.Getsid(pid); sid != pid || err != nil || a.Sys.UseCgroupFD {
		t.Errorf("session %d of process %d, %v; %+v", sid, pid, err, a.Sys)
	}
	kill(t, j)
}

// TestStartTooLong: a command line that is too long is told as such, whichever way a process is born.
func TestStartTooLong(t *testing.T) {
	if _, err := newJob(t).Start("/bin/true", []string{"true", strings.Repeat("x", 200<<10)}, attr()); err != unix.E2BIG {
		t.Errorf("%v", err)
	}
}

func TestBirthRefused(t *testing.T) {
	for err, want := range map[error]bool{
		unix.ENOSYS: true, unix.EINVAL: true, unix.E2BIG: true, unix.EPERM: true, unix.EACCES: true, unix.EBUSY: true,
		unix.EOPNOTSUPP: true, unix.ENOENT: false, unix.EAGAIN: false, unix.ENOMEM: false, errors.New("x"): false,
	} {
		if birthRefused(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}

// TestKilledAtBirth: only a process that is dying without having called execve is
// one that was killed at birth.
func TestKilledAtBirth(t *testing.T) {
	running := sleeper(t)
	ended, err := syscall.ForkExec("/bin/true", []string{"true"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, ended, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{running, ended, os.Getpid(), 1 << 30} {
		if killedAtBirth(pid) {
			t.Errorf("process %d", pid)
		}
	}
	unix.Kill(running, unix.SIGKILL)
	wait(t, running)
	wait(t, ended)
}

func TestStubError(t *testing.T) {
	j := &Job{main: &dir{fd: -1, path: "/c"}}
	var join *JoinError
	if err := j.stubError([]byte("j16")); !errors.As(err, &join) || join.Path != "/c" || !errors.Is(err, unix.EBUSY) {
		t.Errorf("joining: %v", err)
	}
	if err := j.stubError([]byte("x2")); err != unix.ENOENT {
		t.Errorf("execve: %v", err)
	}
	if err := j.stubError([]byte("jx")); err == nil || !strings.Contains(err.Error(), `"jx"`) {
		t.Errorf("what no stub says: %v", err)
	}
}
