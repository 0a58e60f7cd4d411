package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// The tests in this file need a cgroup v2 directory in which we may make others.

func TestMain(m *testing.M) {
	Init()
	help()
	if r, w, err := os.Pipe(); err == nil { // Go's poller keeps two descriptors from its first use on
		r.Close()
		w.Close()
	}
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // for the children of what we kill
	os.Exit(m.Run())
}

// patience is for what is a matter of moments on a machine that is not busy.
const patience = time.Minute

// need skips, or fails where CI promises the feature.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("SUPERVISE_CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// testRoot makes a cgroup for one test and checks at its end that nothing is in
// it, and that no descriptor is left.
func testRoot(t *testing.T) string {
	t.Helper()
	here, err := locate()
	need(t, "finding cgroup2", err)
	path := filepath.Join(here.path, fmt.Sprintf("cgroup-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	need(t, "making a cgroup", os.Mkdir(path, 0o755))
	before := openFDs(t)
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Errorf("something is left: %v", err)
			if d, err := openDir(path); err == nil {
				d.killAndWait()
				d.close()
			}
		}
		if after := openFDs(t); after != before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
	return path
}

func openFDs(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func newSession(t *testing.T, root string) *Session {
	t.Helper()
	s, err := Search{Path: root}.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newJob(t *testing.T) *Job {
	t.Helper()
	s := newSession(t, testRoot(t))
	j, err := s.NewJob("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func attr() *syscall.ProcAttr {
	return &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}}
}

// start starts a shell command that says "ready" when it is.
func start(t *testing.T, j *Job, script string) (pid int) {
	t.Helper()
	return startAs(t, j, "sh", script)
}

// startAs is start with a value for $0.
func startAs(t *testing.T, j *Job, name, script string) (pid int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := attr()
	a.Files[1] = w.Fd()
	pid, err = j.Start("/bin/sh", []string{"sh", "-c", script, name}, a)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process said %q", line)
	}
	return pid
}

// wait reaps the process and says how it ended.
func wait(t *testing.T, pid int) unix.WaitStatus {
	t.Helper()
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatal(err)
	}
	return ws
}

// reapAll reaps what was re-parented to us.
func reapAll() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}

func kill(t *testing.T, j *Job) {
	t.Helper()
	if err := j.node.killAndWait(); err != nil {
		t.Fatal(err)
	}
	reapAll()
}

func ownCgroup(t *testing.T, pid int) string {
	b, err := proc.Read(pid, "cgroup", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := proc.ParseCgroup(b)
	return p
}

func TestBirth(t *testing.T) {
	j := newJob(t)
	pid := start(t, j, "echo ready; exec sleep 100")
	if got := ownCgroup(t, pid); !strings.HasSuffix(got, "/test/main") || !strings.Contains(got, "/jobs-") {
		t.Errorf("born in %s", got)
	}
	if pids, err := j.Procs(); err != nil || len(pids) != 1 || pids[0] != pid {
		t.Errorf("Procs: %v, %v", pids, err)
	}
	if empty, err := j.Empty(); empty || err != nil {
		t.Errorf("Empty: %v, %v", empty, err)
	}
	if err := j.Kill(); err != nil {
		t.Fatal(err)
	}
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws)
	}
	if empty, err := j.Empty(); !empty || err != nil {
		t.Errorf("Empty after the end: %v, %v", empty, err)
	}
	if user, system, err := j.CPU(); err != nil || user+system == 0 {
		t.Errorf("CPU: %d, %d, %v", user, system, err)
	}
}

func TestStartErrors(t *testing.T) {
	j := newJob(t)
	for path, want := range map[string]error{"/no/such": unix.ENOENT, "/etc/passwd": unix.EACCES} {
		if _, err := j.Start(path, []string{"x"}, attr()); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := j.startJoining(path, []string{"x"}, attr()); err != want {
			t.Errorf("%s, joining: %v", path, err)
		}
	}
}

// TestJoining starts through the stub, as where CLONE_INTO_CGROUP is refused.
// The process must see the same descriptors as one that was born there.
func TestJoining(t *testing.T) {
	j := newJob(t)
	var said [2]string
	for i, start := range []func(string, []string, *syscall.ProcAttr) (int, error){j.startJoining, j.Start} {
		r, w, _ := os.Pipe()
		a := attr()
		a.Files[1] = w.Fd()
		pid, err := start("/bin/sh", []string{"my shell", "-c", `echo "$0"; cat /proc/self/cgroup; ls /proc/self/fd`}, a)
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		out, _ := io.ReadAll(r)
		r.Close()
		wait(t, pid)
		said[i] = string(out)
	}
	if said[0] != said[1] || !strings.Contains(said[0], "/test/main\n") || !strings.HasPrefix(said[0], "my shell\n") {
		t.Errorf("joining, the process said\n%s\nborn inside\n%s", said[0], said[1])
	}
}

// TestJoinRefused removes the leaf under the stub.
func TestJoinRefused(t *testing.T) {
	j := newJob(t)
	procs := j.main
	j.main = &dir{fd: procs.fd, path: procs.path}
	if err := j.node.rmdir(mainLeaf); err != nil {
		t.Fatal(err)
	}
	var join *JoinError
	if pid, err := j.startJoining("/bin/true", []string{"true"}, attr()); !errors.As(err, &join) {
		t.Errorf("pid %d, %v", pid, err)
	}
	reapAll()
}

// TestKillSeq starts in a leaf that was once killed: born there, the process
// dies at birth; so it has to join.
func TestKillSeq(t *testing.T) {
	j := newJob(t)
	need(t, "cgroup.kill", j.main.write("cgroup.kill", "1"))
	pid, err := j.Start("/bin/sh", []string{"sh", "-c", "exit 7"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	if ws := wait(t, pid); ws.ExitStatus() != 7 {
		t.Errorf("ended by %v", ws)
	}
}

// TestKillWithoutKillFile freezes, kills and thaws, as before Linux 5.14.
func TestKillWithoutKillFile(t *testing.T) {
	j := newJob(t)
	start(t, j, "(sleep 100 & sleep 100 & wait) & sleep 100 & echo ready; wait")
	deadline := time.Now().Add(patience)
	for empty := false; !empty; {
		if err := j.node.signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		var err error
		if empty, err = j.node.await("populated", 0, time.Second); err != nil || time.Now().After(deadline) {
			t.Fatalf("not empty: %v", err)
		}
	}
	reapAll()
}

func TestSignal(t *testing.T) {
	j := newJob(t)
	pid := start(t, j, `trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	if err := j.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ws := wait(t, pid); ws.ExitStatus() != 3 {
		t.Errorf("ended by %v", ws)
	}
	kill(t, j)
}

// TestClose removes what a job leaves: sub-cgroups, modes, a frozen state.
func TestClose(t *testing.T) {
	j := newJob(t)
	path := j.main.path
	for _, sub := range []string{"/a", "/a/b", "/a/b/c", "/d"} {
		if err := os.Mkdir(path+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	need(t, "cgroup.freeze", j.node.write("main/cgroup.freeze", "1"))
	for _, sub := range []string{"/a/b", "/a", "/d", ""} {
		if err := os.Chmod(path+sub, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKillFrozen ends a job that has frozen itself.
func TestKillFrozen(t *testing.T) {
	j := newJob(t)
	start(t, j, "echo ready; exec sleep 100")
	if err := j.node.write("main/cgroup.freeze", "1"); err != nil {
		t.Fatal(err)
	}
	kill(t, j)
}

// TestWatcher has one job that keeps its cgroup.events open, and one that does not: the first
// needs no inotify(7), of which there are few, and whose close takes 13 ms.
func TestWatcher(t *testing.T) {
	for _, c := range []struct {
		name    string
		held    bool
		inotify bool
	}{{"held", true, false}, {"not held", false, true}} {
		t.Run(c.name, func(t *testing.T) { testWatcher(t, c.held, c.inotify) })
	}
}

func testWatcher(t *testing.T, held, inotify bool) {
	j := newJob(t)
	if fd := &j.node.eventsFile; !held {
		unix.Close(*fd)
		*fd = 0
	}
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	pid := start(t, j, "echo ready; exec sleep 100")
	key, err := w.Watch(j)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.inotify >= 0; got != inotify {
		t.Errorf("by inotify: %v", got)
	}
	w.Read() // what was before
	unix.Kill(pid, unix.SIGKILL)
	kill(t, j) // reads cgroup.events
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.FD()), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	if got := w.Read(); n != 1 || err != nil || len(got) == 0 || got[0] != key {
		t.Errorf("keys %v, want %d; poll: %d, %v", got, key, n, err)
	}
	if got := w.Read(); len(got) > 1 {
		t.Errorf("then %v", got)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
