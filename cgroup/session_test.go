package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"jobs-01234567": true, "jobs-89abcdef": true, "jobs-0123456": false, "jobs-012345678": false,
		"jobs-foreign0": false, "x-01234567": false, "jobs-": false,
	} {
		if isName(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if name := newName(); !isName(name) {
		t.Error(name)
	}
}

// TestSessionKill ends the processes of every job, by the method and by the
// descriptor that the guardian is given.
func TestSessionKill(t *testing.T) {
	for name, kill := range map[string]func(s *Session) error{
		"Kill": (*Session).Kill,
		"KillFD": func(s *Session) error {
			fd, err := s.KillFD()
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			_, err = unix.Write(fd, []byte("1"))
			return err
		},
	} {
		j := newJob(t)
		pid := start(t, j, "echo ready; exec sleep 100")
		if err := kill(j.s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		unix.Kill(pid, unix.SIGTERM) // for a kill that does nothing
		if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: ended by %v", name, ws)
		}
	}
}

// TestLeaveToManager: what systemd is about to remove is left alone.
func TestLeaveToManager(t *testing.T) {
	s := newSession(t, testRoot(t))
	path := s.Path()
	j, err := s.NewJob("one")
	if err != nil {
		t.Fatal(err)
	}
	s.LeaveToManager()
	if err := errors.Join(j.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{path + "/one/main", path + "/one", path} {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}

// TestInheritRefuses: a directory that is no session is refused, as a guardian would kill and
// remove it.
func TestInheritRefuses(t *testing.T) {
	s := newSession(t, testRoot(t))
	if h, err := Inherit(s.RootFD(), s.RootFD()); err == nil {
		t.Errorf("took the root for the session %s", h.Path())
	}
	imitation := t.TempDir() + "/" + sessionPrefix + "01234567"
	if err := os.Mkdir(imitation, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(imitation)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Inherit(int(d.Fd()), s.RootFD()); err == nil || !strings.Contains(err.Error(), "not a cgroup") {
		t.Errorf("took a directory of another file system: %v", err)
	}
	d.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFDs: the descriptors are of the session and of its root.
func TestFDs(t *testing.T) {
	root := testRoot(t)
	s := newSession(t, root)
	for path, fd := range map[string]int{s.Path(): s.FD(), root: s.RootFD()} {
		var a, b unix.Stat_t
		if err1, err2 := unix.Stat(path, &a), unix.Fstat(fd, &b); err1 != nil || err2 != nil || a.Ino != b.Ino {
			t.Errorf("%s: inode %d, and of its descriptor %d; %v, %v", path, a.Ino, b.Ino, err1, err2)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOpenUnwritable: a root into which no process can be moved is refused, and
// left without a session.
func TestOpenUnwritable(t *testing.T) {
	d := plainDir(t, nil)
	if s, err := (&root{dir: d}).newSession(); err == nil {
		t.Errorf("a session at %s", s.Path())
	}
	if names, err := d.subdirs(); err != nil || len(names) != 0 {
		t.Errorf("it holds %v, %v", names, err)
	}
}

// TestKillAll: after the end of all jobs one look answers for each, until something comes into a
// job again.
func TestKillAll(t *testing.T) {
	s := newSession(t, testRoot(t))
	jobs := []*Job{newSleeping(t, s, "a"), newSleeping(t, s, "b")}
	if empty, err := jobs[0].Empty(); empty || err != nil {
		t.Errorf("before: %v, %v", empty, err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEmpty(t, jobs[0])
	awaitEmpty(t, jobs[1])
	events := jobs[0].node.eventsFile
	jobs[0].node.eventsFile = 1 << 20 // it cannot be read
	if empty, err := jobs[0].Empty(); !empty || err != nil {
		t.Errorf("the job was asked: %v, %v", empty, err)
	}
	jobs[0].node.eventsFile = events
	later := newSleeping(t, s, "c")
	for i, j := range append(jobs, later) {
		if empty, err := j.Empty(); empty != (j != later) || err != nil {
			t.Errorf("job %d: %v, %v", i, empty, err)
		}
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEmpty(t, later)
	stray := sleeper(t)
	if err := jobs[0].Capture(stray); err != nil || s.isOver() {
		t.Errorf("what was captured is not asked for: %v", err)
	}
	awaitEmpty(t, jobs[0])
	reapAll()
	for _, j := range append(jobs, later) {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func newSleeping(t *testing.T, s *Session, name string) *Job {
	t.Helper()
	j, err := s.NewJob(name)
	if err != nil {
		t.Fatal(err)
	}
	start(t, j, "echo ready; exec sleep 100")
	return j
}

func awaitEmpty(t *testing.T, j *Job) {
	t.Helper()
	if _, err := j.node.await("populated", 0, patience); err != nil {
		t.Fatal(err)
	}
	if empty, err := j.Empty(); !empty || err != nil {
		t.Fatalf("%s is not empty: %v", j.Path(), err)
	}
}
