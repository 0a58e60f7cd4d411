package cgroup

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// plainDir makes a directory of ordinary files, in which a cgroup's files say exactly what the
// test needs.
func plainDir(t *testing.T, files map[string]string) *dir {
	t.Helper()
	d := &dir{path: t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.path, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(d.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.fd = fd
	t.Cleanup(d.close)
	return d
}

// pipe makes a file of the directory a FIFO, and returns its end for reading.
func (d *dir) pipe(t *testing.T, name string) *os.File {
	t.Helper()
	if err := unix.Mkfifo(d.join(name), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(d.join(name), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func sleeper(t *testing.T) int {
	t.Helper()
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "100"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestKillFallback is a kernel without cgroup.kill (before Linux 5.14): the tree is
// frozen, killed and thawed.
func TestKillFallback(t *testing.T) {
	pid := sleeper(t)
	d := plainDir(t, map[string]string{"cgroup.events": "populated 1\nfrozen 1\n", "cgroup.procs": strconv.Itoa(pid) + "\n"})
	freezer := d.pipe(t, "cgroup.freeze")
	if err := d.kill(); err != nil {
		t.Error(err)
	}
	unix.Kill(pid, unix.SIGTERM) // for a fallback that does nothing
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws)
	}
	var written [2]byte
	if n, err := freezer.Read(written[:]); string(written[:n]) != "10" {
		t.Errorf("cgroup.freeze was written %q, %v", written[:n], err)
	}
}

// TestSignalErrors: a process that is gone is no error, a signal that is none is.
func TestSignalErrors(t *testing.T) {
	pid := sleeper(t)
	files := map[string]string{"cgroup.events": "frozen 1\n", "cgroup.procs": strconv.Itoa(pid) + "\n", "cgroup.freeze": ""}
	d := plainDir(t, files)
	if err := d.signal(100); err == nil || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("signal 100: %v", err)
	}
	unix.Kill(pid, unix.SIGKILL)
	wait(t, pid)
	if err := d.signal(unix.SIGTERM); err != nil {
		t.Errorf("a process that is gone: %v", err)
	}
	if err := plainDir(t, nil).signal(unix.SIGTERM); err == nil {
		t.Error("a cgroup that cannot be frozen: no error")
	}
}

// TestFreezeWaits: freeze returns when all are frozen, or after its limit.
func TestFreezeWaits(t *testing.T) {
	d := plainDir(t, map[string]string{"cgroup.events": "frozen 0\n", "cgroup.freeze": ""})
	began := time.Now()
	if err := d.freeze(); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestThaw(t *testing.T) {
	j := newJob(t)
	start(t, j, "echo ready; exec sleep 100")
	for want, do := range []func() error{j.Thaw, j.Freeze, j.Thaw} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if is, err := j.node.await("frozen", uint64(want%2), patience); !is || err != nil {
			t.Errorf("step %d: %v, %v", want, is, err)
		}
	}
	kill(t, j)
}

func TestAwait(t *testing.T) {
	d := plainDir(t, map[string]string{"cgroup.events": "populated 1\nfrozen 0\n"})
	for _, tt := range []struct {
		key  string
		want uint64
		is   bool
	}{{"populated", 1, true}, {"populated", 0, false}, {"frozen", 0, true}, {"frozen", 1, false}, {"nosuch", 0, false}} {
		if is, err := d.await(tt.key, tt.want, 0); is != tt.is || err != nil {
			t.Errorf("%s %d: %v, %v", tt.key, tt.want, is, err)
		}
	}
	if is, err := plainDir(t, nil).await("frozen", 0, patience); is || err == nil {
		t.Errorf("no cgroup.events: %v, %v", is, err)
	}
	unreadable := plainDir(t, nil)
	if err := os.Mkdir(unreadable.join("cgroup.events"), 0o755); err != nil {
		t.Fatal(err)
	}
	if is, err := unreadable.await("frozen", 0, 0); is || err == nil {
		t.Errorf("cgroup.events cannot be read: %v, %v", is, err)
	}
}

// TestKillAgain: a process that was forked while cgroup.kill was written is killed by
// the second write (Linux 6.18).
func TestKillAgain(t *testing.T) {
	t.Parallel() // it waits for a second
	d := plainDir(t, map[string]string{"cgroup.events": "populated 1\n"})
	kills := d.pipe(t, "cgroup.kill")
	done := make(chan string)
	go func() { // ends with the second write, or the file
		var b [2]byte
		n, _ := kills.Read(b[:1])
		m, _ := kills.Read(b[n:])
		os.WriteFile(d.join("cgroup.events"), []byte("populated 0\n"), 0o644)
		done <- string(b[:n+m])
	}()
	if err := d.killAndWait(); err != nil {
		t.Error(err)
	}
	kills.WriteString("0") // for a kill that was written once
	if got := <-done; got != "11" {
		t.Errorf("cgroup.kill was written %q", got)
	}
}

// TestKillHeadless: a process whose first thread has exited outlives cgroup.kill, and not a second Kill.
func TestKillHeadless(t *testing.T) {
	j := newJob(t)
	pid, ready := work(t, j, "headless", 0)
	if s, err := proc.ReadStat(pid); !ready || err != nil || !s.Headless() || s.Exiting() {
		t.Errorf("ready: %t, %+v, %v", ready, s, err)
	}
	if pids, err := j.Procs(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("listed: %v, %v, want %d", pids, err, pid)
	}
	if err := j.node.killAndWait(); err != nil {
		t.Error(err)
		unix.Kill(pid, unix.SIGKILL)
	}
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws)
	}
}

func TestKillLimit(t *testing.T) {
	t.Parallel() // it waits for a second
	d := plainDir(t, map[string]string{"cgroup.events": "populated 1\n", "cgroup.kill": "", "cgroup.procs": "4711\n"})
	if err := d.killWithin(0); err == nil || !strings.Contains(err.Error(), "[4711]") {
		t.Errorf("%v", err)
	}
}

func TestMembers(t *testing.T) {
	d := plainDir(t, map[string]string{"cgroup.procs": "0\n12\nx\n-3\n"})
	if pids, err := d.members(); err != nil || !slices.Equal(pids, []int{0, 12}) {
		t.Errorf("members: %v, %v", pids, err)
	}
	if pids, err := d.ownProcs(); err != nil || !slices.Equal(pids, []int{12}) {
		t.Errorf("those that are seen: %v, %v", pids, err)
	}
	if _, err := plainDir(t, nil).members(); err == nil {
		t.Error("no cgroup.procs: no error")
	}
}

// TestProcsBelow: processes in sub-cgroups of the job are listed.
func TestProcsBelow(t *testing.T) {
	j := newJob(t)
	pid := start(t, j, "echo ready; exec sleep 100")
	sub := j.main.join("a/b")
	err1 := os.MkdirAll(sub, 0o755)
	err2 := os.WriteFile(sub+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0)
	if pids, err := j.Procs(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("%v, %v, want %d; %v, %v", pids, err, pid, err1, err2)
	}
	kill(t, j)
}

// TestThreaded: that cgroup.procs of a threaded cgroup cannot be read (EOPNOTSUPP) is no error.
func TestThreaded(t *testing.T) {
	j := newJob(t)
	sub := j.main.join("threaded")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sub+"/cgroup.type", []byte("threaded"), 0); err != nil {
		t.Fatal(err)
	}
	if pids, err := j.Procs(); err != nil || len(pids) != 0 {
		t.Errorf("%v, %v", pids, err)
	}
}

// asNobody calls f on a thread without privilege over files (setfsuid(2)), which
// ends with it.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with f, and its thread with it
		runtime.LockOSThread()
		defer close(done)
		unix.Setfsuid(ordinaryUser())
		f()
	}()
	<-done
}

// ordinaryUser returns a user without privilege over files: the test's own, unless that is root.
func ordinaryUser() int {
	if uid := os.Getuid(); uid != 0 {
		return uid
	}
	return 65534
}

// TestTakenModes: a job took its own permission away from a sub-cgroup.
func TestTakenModes(t *testing.T) {
	d := plainDir(t, nil)
	sub := d.join("sub")
	for _, err := range []error{os.Mkdir(sub, 0), os.Chown(sub, ordinaryUser(), -1), os.Chmod(d.path, 0o755), os.Chmod(filepath.Dir(d.path), 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		d := &dir{fd: d.fd, path: d.path, forced: true}
		c, err := d.child("sub")
		if err != nil {
			t.Error(err)
			return
		}
		c.close()
	})
	if err := os.WriteFile(d.join("cgroup.procs"), []byte("12\n"), 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if pids, err := d.members(); pids != nil || err != nil {
			t.Errorf("a cgroup.procs without modes: %v, %v", pids, err)
		}
	})
}
