package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// TestAdopt moves a tree that forks all the time.
func TestAdopt(t *testing.T) {
	j := newJob(t)
	r, w, _ := os.Pipe()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "echo ready; while :; do (true; true); done"},
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, w.Fd(), 2}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(r).ReadString('\n')
	r.Close()
	each := func(move func([]int) (bool, error)) error {
		for range 1000 {
			if moved, err := move(descendants(pid)); !moved {
				return err
			}
		}
		return errors.New("no end of it")
	}
	if err := j.Adopt(each); err != nil {
		unix.Kill(pid, unix.SIGKILL)
		t.Error(err)
	}
	for _, p := range descendants(pid) {
		if s, err := proc.ReadStat(p); err == nil && s.Exiting() {
			continue
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p)); err == nil && !strings.Contains(string(b), "/test/main") {
			t.Errorf("process %d is in %s", p, b)
		}
	}
	kill(t, j)
}

// TestAdoptQuiet: processes that sleep are not woken, and are in the cgroup in the order in which
// they are children.
func TestAdoptQuiet(t *testing.T) {
	j := newJob(t)
	pids := make([]int, 5)
	for i := range pids {
		pids[i] = asleep(t)
	}
	before := switches(t, pids)
	rounds := 0
	err := j.Adopt(func(move func([]int) (bool, error)) error {
		for {
			rounds++
			if moved, err := move(pids); !moved {
				return err
			}
		}
	})
	if err != nil || rounds != 2 {
		t.Errorf("%d rounds, %v", rounds, err)
	}
	if after := switches(t, pids); !slices.Equal(after, before) {
		t.Errorf("they have slept %v times, before %v", after, before)
	}
	if inside, err := j.Procs(); !slices.Equal(inside, pids) {
		t.Errorf("%v, %v; want %v", inside, err, pids)
	}
	kill(t, j)
}

// asleep starts a process outside any job, and returns when it has gone to sleep. Its state alone
// says so a moment before; /proc/PID/syscall waits until it is on no processor.
func asleep(t *testing.T) (pid int) {
	t.Helper()
	pid = sleeper(t)
	for deadline := time.Now().Add(patience); ; {
		s, err := proc.ReadStat(pid)
		in, _ := proc.Read(pid, "syscall", 0)
		if err == nil && s.State == 'S' && !bytes.HasPrefix(in, []byte("running")) {
			return pid
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d: %c, %v", pid, s.State, err)
		}
	}
}

// switches are how often processes have gone to sleep.
func switches(t *testing.T, pids []int) (all []string) {
	t.Helper()
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "\nvoluntary_ctxt_switches:")
		n, _, _ := strings.Cut(rest, "\n")
		all = append(all, strings.TrimSpace(n))
	}
	return all
}

func descendants(pid int) []int {
	pids := []int{pid}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(b)) {
		n, _ := strconv.Atoi(f)
		pids = append(pids, descendants(n)...)
	}
	return pids
}

// TestAdoptFails puts back what was moved.
func TestAdoptFails(t *testing.T) {
	j := newJob(t)
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "100"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	before := ownCgroup(t, pid)
	err = j.Adopt(func(move func([]int) (bool, error)) error {
		if moved, err := move([]int{pid}); !moved || err != nil {
			t.Errorf("moved: %v, %v", moved, err)
		}
		return errors.New("as the test wants it")
	})
	if err == nil {
		t.Error("no error")
	}
	if after := ownCgroup(t, pid); after != before {
		t.Errorf("process is in %s, was in %s", after, before)
	}
	unix.Kill(pid, unix.SIGKILL)
	wait(t, pid)
}

// TestStaleInTheWay: where a place may have no more cgroups, what a dead supervisor left makes room.
func TestStaleInTheWay(t *testing.T) {
	root := testRoot(t)
	dead := newSession(t, root)
	j, err := dead.NewJob("orphan")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*dir{j.node, j.main, dead.dir, dead.root.dir} {
		d.close()
	}
	if err := os.WriteFile(root+"/cgroup.max.descendants", []byte("3"), 0); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, root)
	if exists(dead.path) {
		t.Error("the dead session is still there")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestStale: what a dead supervisor left goes, what is alive or not ours stays.
func TestStale(t *testing.T) {
	root := testRoot(t)
	alive, dead := newSession(t, root), newSession(t, root)
	j, err := dead.NewJob("orphan")
	if err != nil {
		t.Fatal(err)
	}
	pid := start(t, j, "echo ready; exec sleep 100")
	j.node.close()
	dead.close() // the lock goes with the descriptor
	dead.root.close()
	foreign, young, unmarked := root+"/"+sessionPrefix+"foreign", root+"/"+sessionPrefix+"01234567", root+"/"+sessionPrefix+"89abcdef"
	for _, path := range []string{foreign, young, unmarked} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{foreign, unmarked} {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}

	s := newSession(t, root)
	s.RemoveStale()
	for _, path := range []string{dead.path, unmarked} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a dead session: %v", err)
		}
	}
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("its process: %v", ws)
	}
	for _, path := range []string{alive.path, foreign, young, s.path} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	os.Remove(foreign)
	os.Remove(young)
	for _, s := range []*Session{alive, s} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestInherit is what a guardian does with the descriptors.
func TestInherit(t *testing.T) {
	s := newSession(t, testRoot(t))
	j, err := s.NewJob("orphan")
	if err != nil {
		t.Fatal(err)
	}
	pid := start(t, j, "echo ready; exec sleep 100")
	j.node.close()
	unix.Close(s.killFile)
	unix.Close(s.eventsFile)
	h, err := Inherit(s.FD(), s.RootFD())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Destroy(); err != nil {
		t.Error(err)
	}
	if ws := wait(t, pid); ws.Signal() != unix.SIGKILL {
		t.Errorf("its process: %v", ws)
	}
}

func TestExplicitRoot(t *testing.T) {
	if _, err := (Search{Path: "/proc"}).Open(); err == nil {
		t.Error("opened /proc as a cgroup")
	}
	if _, err := (Search{Path: "/no/such/cgroup"}).Open(); err == nil {
		t.Error("opened what is not there")
	}
	root := testRoot(t)
	here, _ := locate()
	for _, name := range []string{root, root + "/", here.own + strings.TrimPrefix(root, here.path)} {
		s, err := Search{Path: name}.Open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if path, origin := s.Root(); path != root || origin != Explicit {
			t.Errorf("%s: root %s of origin %s", name, path, origin)
		}
		s.Close()
	}
}

// TestSameNames gives two jobs of one name two directories.
func TestSameNames(t *testing.T) {
	s := newSession(t, testRoot(t))
	a, err1 := s.NewJob("x")
	b, err2 := s.NewJob("x")
	if err1 != nil || err2 != nil || a.Path() == b.Path() {
		t.Fatalf("%v, %v", err1, err2)
	}
	for _, err := range []error{a.Close(), b.Close(), s.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}
