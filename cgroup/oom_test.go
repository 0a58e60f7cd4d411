package cgroup

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestOwnOOM(t *testing.T) {
	j := limitedJob(t, "memory")
	limit(t, j, "MemoryMax 64M")
	w, err := j.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	pid, ready := work(t, j, "alloc", 256)
	if ws := wait(t, pid); ready || ws.Signal() != unix.SIGKILL {
		t.Fatalf("ready %v, %v", ready, ws)
	}
	o, err := w.Cause(false)
	if err != nil || o.Cause != OOMOwnLimit || o.Path != j.Path() || o.Kills == 0 || o.String() != "own limit" {
		t.Errorf("%+v, %v", o, err)
	}
	if again, err := w.Cause(true); err != nil || again != o { // it may be a descendant that was killed
		t.Errorf("spared: %+v, %v", again, err)
	}
	m := stats(t, j).Memory
	exactly(t, "oom_kill", m.Events.OOMKill, o.Kills)
	t.Logf("one process was killed, oom_kill is %d", o.Kills)
	exactly(t, "oom_group_kill", m.EventsLocal.OOMGroupKill, 1)
	near(t, "the peak", m.Peak, 64<<20)
	exactly(t, "swap", m.Swap, 0)
}

// TestInnerOOM: the limit is one that the job set below its node.
func TestInnerOOM(t *testing.T) {
	j := limitedJob(t, "memory")
	w, err := j.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	for file, value := range map[string]string{"memory.max": "64M", "memory.swap.max": "0"} {
		if err := j.main.write(file, value); err != nil {
			t.Fatal(err)
		}
	}
	pid, _ := work(t, j, "alloc", 256)
	wait(t, pid)
	if o, err := w.Cause(false); err != nil || o.Cause != OOMOwnLimit || o.Path != "" || o.Kills == 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestAncestorOOM: the session is limited, the job is not.
func TestAncestorOOM(t *testing.T) {
	j := limitedJob(t, "memory")
	if err := j.s.write("memory.max", "64M"); err != nil {
		t.Fatal(err)
	}
	if err := j.s.write("memory.swap.max", "0"); err != nil {
		t.Fatal(err)
	}
	w, err := j.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := work(t, j, "alloc", 256)
	wait(t, pid)
	o, err := w.Cause(false)
	if want := (OOM{Cause: OOMAncestor, Path: j.s.path, Kills: 1}); err != nil || o != want {
		t.Errorf("%+v, %v, want %+v", o, err, want)
	}
}
