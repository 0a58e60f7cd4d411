package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRemoveBusy: a cgroup with a process in it is tried for up to a second; a step of its removal does not wait.
func TestRemoveBusy(t *testing.T) {
	j := newJob(t)
	start(t, j, "echo ready; exec sleep 100")
	began := time.Now()
	if err := j.node.removeTree(mainLeaf); !errors.Is(err, unix.EBUSY) || time.Since(began) < removeLimit/2 {
		t.Errorf("a process inside: %v after %v", err, time.Since(began))
	}
	if err := os.Mkdir(j.main.join("sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := j.node.removal(mainLeaf)
	if done, err := r.Step(10); done || !isBusy(err) || exists(j.main.join("sub")) {
		t.Errorf("a step: %v, %v", done, err)
	}
	r.Close()
	if err := j.s.Kill(); err != nil {
		t.Error(err)
	}
	kill(t, j)
}

// nest makes cgroups, one in the other, by names relative to the last one: their path is longer than a path may be.
func nest(t *testing.T, at string, n int) {
	t.Helper()
	fd, err := unix.Open(at, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for range n {
		if err == nil {
			err = unix.Mkdirat(fd, "d", 0o755)
		}
		next := -1
		if err == nil {
			next, err = unix.Openat(fd, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
}

// TestRemoveDeep: more nested cgroups than descriptors, and more of them side by side than a step removes.
func TestRemoveDeep(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	j := newJob(t)
	nest(t, j.main.path, 300)
	for i := range 500 {
		if err := os.Mkdir(filepath.Join(j.main.path, fmt.Sprint("w", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if pids, err := j.Procs(); err != nil || len(pids) > 0 {
		t.Errorf("processes %v, %v", pids, err)
	}
	r, err := j.Remove()
	if err != nil || r == nil {
		t.Fatalf("%v, %v", r, err)
	}
	steps := 0
	for done := false; !done; steps++ {
		if done, err = r.Step(100); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	if steps < 800/100 || exists(j.Path()) {
		t.Errorf("%d steps, there: %v", steps, exists(j.Path()))
	}
}
