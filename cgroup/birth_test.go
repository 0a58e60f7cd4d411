package cgroup

import (
	"io"
	"os"
	"testing"
)

// TestOnce: a command is run once, however the child is met in its execve.
func TestOnce(t *testing.T) {
	j := newJob(t)
	for range 30 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		a := attr()
		a.Files[1] = w.Fd()
		pid, err := j.Start("/bin/echo", []string{"echo", "x"}, a)
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		wait(t, pid)
		said, _ := io.ReadAll(r)
		r.Close()
		if string(said) != "x\n" {
			t.Errorf("it said %q", said)
		}
	}
}

// TestMayOverlapApart: a root that does not hold this process may have limits that are not this process's.
func TestMayOverlapApart(t *testing.T) {
	j := newJob(t)
	pid, err := j.Start("/bin/true", []string{"true"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	wait(t, pid)
	if !j.s.born || j.MayOverlap() {
		t.Errorf("born %t, may overlap %t", j.s.born, j.MayOverlap())
	}
}
