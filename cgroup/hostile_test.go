package cgroup

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTakenModesOfJob: a job of the same user has taken the modes of its cgroup away: it is not called empty while it lives, and
// is killed and removed. Root has no need of modes.
func TestTakenModesOfJob(t *testing.T) {
	for _, name := range []string{"cgroup.events", "cgroup.kill", "cgroup.procs", "main", "."} {
		s := newSession(t, testRoot(t))
		j, err := s.NewJob("test")
		if err != nil {
			t.Fatal(err)
		}
		pid := startAs(t, j, j.Path(), "mkdir $0/main/below; echo ready; exec sleep 100")
		for _, at := range []string{j.Path() + "/" + name, s.Path()} {
			if err := os.Chmod(at, 0); err != nil {
				t.Fatal(err)
			}
		}
		if empty, err := j.Empty(); empty || err != nil {
			t.Errorf("%s: empty %v, %v", name, empty, err)
		}
		if pids, err := j.Procs(); err != nil || len(pids) != 1 || pids[0] != pid {
			t.Errorf("%s: processes %v, %v", name, pids, err)
		}
		if err := j.Kill(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		unix.Kill(pid, unix.SIGTERM) // for a kill that does nothing
		if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: ended by %v", name, ws)
		}
		kill(t, j)
		if empty, err := j.Empty(); !empty || err != nil {
			t.Errorf("%s: empty %v, %v", name, empty, err)
		}
		if other, err := s.NewJob("other"); err != nil {
			t.Errorf("%s: another job: %v", name, err)
		} else if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(j.Close(), s.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTakenModeOfRoot: what is removed in the end does not stay because the job has locked the root.
func TestTakenModeOfRoot(t *testing.T) {
	root := testRoot(t)
	s := newSession(t, root)
	j, err := s.NewJob("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o055); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	os.Chmod(root, 0o755)
	if exists(s.Path()) {
		t.Error("the session is still there")
	}
}

// TestKillWithoutDescriptors: a job is ended, and seen to be, where no file can be opened any more.
func TestKillWithoutDescriptors(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	j := newJob(t)
	pid := start(t, j, "echo ready; exec sleep 100")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if err := j.Kill(); err != nil {
		t.Error(err)
	}
	unix.Kill(pid, unix.SIGTERM) // for a kill that does nothing
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws)
	}
	for _, d := range []*dir{j.node, j.s.dir} {
		if ok, err := d.await("populated", 0, 10*time.Second); !ok || err != nil {
			t.Errorf("%s: empty %v, %v", d.path, ok, err)
		}
	}
	if empty, err := j.s.Empty(); !empty || err != nil {
		t.Errorf("the session is empty: %v, %v", empty, err)
	}
}

// thread makes cgroups threaded, from the first one down.
func thread(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.WriteFile(path+"/cgroup.type", []byte("threaded"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMadeThreaded: a session or a job that was made threaded, in which cgroup.kill is refused (EOPNOTSUPP), is ended all the same.
func TestMadeThreaded(t *testing.T) {
	for _, from := range []string{"session", "node", "leaf"} {
		s := newSession(t, testRoot(t))
		j, err := s.NewJob("test")
		if err != nil {
			t.Fatal(err)
		}
		paths, domain := []string{s.Path(), j.Path(), j.main.path}, s.root.path
		switch from {
		case "node":
			paths, domain = paths[1:], s.Path()
		case "leaf":
			paths, domain = paths[2:], j.Path()
		}
		thread(t, paths...)
		pid := startIn(t, domain, j.main.path)
		if pids, err := j.Procs(); err != nil || len(pids) == 0 || pids[0] != pid {
			t.Errorf("%s: processes %v, %v", from, pids, err)
		}
		if err := j.Kill(); err != nil {
			t.Errorf("%s: %v", from, err)
		}
		unix.Kill(pid, unix.SIGTERM) // for a kill that does nothing
		if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: ended by %v", from, ws)
		}
		kill(t, j)
		if err := errors.Join(j.Close(), s.Close()); err != nil {
			t.Errorf("%s: %v", from, err)
		}
	}
}

// startIn starts a process and moves it through cgroups.
func startIn(t *testing.T, through ...string) (pid int) {
	t.Helper()
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "100"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range through {
		if err := os.WriteFile(path+"/cgroup.procs", []byte(strconv.Itoa(p.Pid)), 0); err != nil {
			p.Kill()
			p.Wait()
			t.Fatal(err)
		}
	}
	defer p.Release()
	return p.Pid
}

// TestHiddenSession: what a job of the same user may do to keep its session from the next supervisor, after it has shot its own
// and the guardian.
func TestHiddenSession(t *testing.T) {
	for name, script := range map[string]string{
		"nothing":               "",
		"modes":                 "chmod 0 $0/test/main $0/test $0/cgroup.kill $0/cgroup.events $0",
		"attribute":             "", // below
		"lock of the directory": "exec flock -s $0 sh -c 'echo ready; exec sleep 100'",
		"lock of cgroup.kill":   "chmod 600 $0/cgroup.kill; exec flock -x $0/cgroup.kill sh -c 'echo ready; exec sleep 100'",
	} {
		root := testRoot(t)
		s := newSession(t, root)
		j, err := s.NewJob("test")
		if err != nil {
			t.Fatal(err)
		}
		path := s.Path()
		unix.Flock(s.killFile, unix.LOCK_UN)
		unix.Flock(s.fd, unix.LOCK_UN)
		pid := startAs(t, j, path, script+"\necho ready; exec sleep 100")
		if name == "attribute" {
			if err := unix.Removexattr(path, xattrSession); err != nil {
				t.Fatal(err)
			}
		}
		j.node.close()
		s.dir.close()
		s.root.close()
		next := newSession(t, root)
		next.RemoveStale()
		unix.Kill(pid, unix.SIGTERM) // for one that was not removed
		if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: ended by %v", name, ws)
		}
		if exists(path) {
			t.Errorf("%s: the session is still there", name)
		}
		if err := next.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBesideThreaded: a session that its job has made threaded does not keep the next supervisor from starting jobs.
func TestBesideThreaded(t *testing.T) {
	root := testRoot(t)
	s := newSession(t, root)
	j, err := s.NewJob("test")
	if err != nil {
		t.Fatal(err)
	}
	thread(t, s.Path(), j.Path(), j.main.path)
	pid := startIn(t, root, j.main.path)
	for _, d := range []*dir{j.main, j.node, s.dir, s.root.dir} { // its supervisor dies
		d.close()
	}
	next := newSession(t, root)
	other, err := next.NewJob("test")
	if err != nil {
		t.Fatal(err)
	}
	born := start(t, other, "echo ready; exec sleep 100")
	unix.Kill(pid, unix.SIGTERM) // for one that was not ended
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws)
	}
	unix.Kill(born, unix.SIGKILL)
	wait(t, born)
	kill(t, other)
	if err := errors.Join(other.Close(), next.Close()); err != nil {
		t.Error(err)
	}
}

// TestLockedSession: a session that a supervisor holds stays, of this version and of the first.
func TestLockedSession(t *testing.T) {
	for _, version := range []string{layoutVersion, lockedByDirectory} {
		root := testRoot(t)
		s := newSession(t, root)
		if err := s.mark(xattrSession, version); err != nil {
			t.Fatal(err)
		}
		if version == lockedByDirectory {
			unix.Flock(s.killFile, unix.LOCK_UN)
		}
		next := newSession(t, root)
		next.RemoveStale()
		if !exists(s.Path()) {
			t.Errorf("version %s: removed", version)
		}
		if err := errors.Join(s.Close(), next.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestLockers(t *testing.T) {
	const text = `1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF
2: POSIX  ADVISORY  WRITE 1235 00:1b:5678 0 EOF
2: -> FLOCK  ADVISORY  WRITE 1236 00:1b:5678 0 EOF
3: FLOCK  ADVISORY  READ 12 00:1b:567 0 EOF
4: FLOCK
`
	st := unix.Stat_t{Dev: unix.Mkdev(0, 0x1b), Ino: 5678}
	if pids := lockers([]byte(text), &st); len(pids) != 1 || pids[0] != 1234 {
		t.Errorf("%v", pids)
	}
}
