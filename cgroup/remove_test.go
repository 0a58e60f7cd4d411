package cgroup

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRmdirBusy: a cgroup with a process in it is tried for up to a second, one with
// sub-cgroups once.
func TestRmdirBusy(t *testing.T) {
	j := newJob(t)
	start(t, j, "echo ready; exec sleep 100")
	began := time.Now()
	if err := j.node.rmdirRetry(mainLeaf); !errors.Is(err, unix.EBUSY) || time.Since(began) < 500*time.Millisecond {
		t.Errorf("a process inside: %v after %v", err, time.Since(began))
	}
	if err := os.Mkdir(j.main.join("sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !j.node.hasChildren(mainLeaf) || j.main.hasChildren("sub") || j.node.hasChildren("nosuch") {
		t.Error("it is not seen which has sub-cgroups")
	}
	began = time.Now()
	if err := j.node.rmdirRetry(mainLeaf); err == nil || time.Since(began) > 500*time.Millisecond {
		t.Errorf("a sub-cgroup inside: %v after %v", err, time.Since(began))
	}
	if err := j.s.Kill(); err != nil {
		t.Error(err)
	}
	kill(t, j)
}
