package cgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwnOOM: who is killed is a program of several threads, of which the kernel's counters do not say how many processes
// it was; and one of a single thread, of which they do.
func TestOwnOOM(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *Job) int{
		"threads": func(t *testing.T, j *Job) int { pid, _ := work(t, j, "alloc", 256); return pid },
		"single": func(t *testing.T, j *Job) int {
			return start(t, j, "echo ready; exec dd if=/dev/zero of=/dev/null bs=256M count=1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := limitedJob(t, "memory")
			limit(t, j, "MemoryMax 64M")
			w, err := j.WatchOOM()
			if err != nil {
				t.Fatal(err)
			}
			if ws := wait(t, begin(t, j)); ws.Signal() != unix.SIGKILL {
				t.Fatal(ws)
			}
			o, err := w.Cause(false)
			if err != nil || o.Cause != OOMOwnLimit || o.Path != j.Path() || o.String() != "own limit" {
				t.Errorf("%+v, %v", o, err)
			}
			if single := name == "single"; o.Kills != nil && *o.Kills != 1 || o.Kills == nil && single {
				t.Errorf("kills: %v", o.Kills)
			}
			if again, err := w.Cause(true); err != nil || again.Cause != o.Cause || again.Path != o.Path { // it may be a descendant that was killed
				t.Errorf("spared: %+v, %v", again, err)
			}
			m := stats(t, j).Memory
			t.Logf("one process was killed, oom_kill is %d", *m.Events.OOMKill)
			exactly(t, "oom_group_kill", m.EventsLocal.OOMGroupKill, 1)
			near(t, "the peak", m.Peak, 64<<20)
			exactly(t, "swap", m.Swap, 0)
		})
	}
}

// TestNoOOM: that nothing was killed is known.
func TestNoOOM(t *testing.T) {
	j := limitedJob(t, "memory")
	w, err := j.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	wait(t, start(t, j, "echo ready; kill -KILL $$"))
	for _, spared := range []bool{true, false} {
		if o, err := w.Cause(spared); err != nil || o != (OOM{Cause: OOMNone}) {
			t.Errorf("%+v, %v", o, err)
		}
	}
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
	if o, err := w.Cause(false); err != nil || o.Cause != OOMOwnLimit || o.Path != "" || o.Kills == nil || *o.Kills != 1 {
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
	if o, err := w.Cause(false); err != nil || o.Cause != OOMAncestor || o.Path != j.s.path || o.Kills == nil || *o.Kills != 1 || o.Unsure {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestOOMProcesses: the counters of one OOM kill, as they were measured in guests, and how many processes that may be.
func TestOOMProcesses(t *testing.T) {
	known := func(n uint64) *uint64 { return &n }
	for _, tt := range []struct {
		what string
		c    oomCounts
		want *uint64
	}{
		{"two, one after the other", oomCounts{kills: 2}, known(2)},
		{"a group of one, which allocated", oomCounts{kills: 2, groups: 1, single: true}, known(1)},
		{"a group of one, which did not", oomCounts{kills: 1, groups: 1}, known(1)},
		{"a group of one with threads", oomCounts{kills: 2, groups: 1}, nil},
		{"a group of two", oomCounts{kills: 2, groups: 1}, nil},
		{"a group of two with threads", oomCounts{kills: 4, groups: 1}, nil},
		{"a group of ten", oomCounts{kills: 11, groups: 1}, nil},
	} {
		if got := tt.c.processes(); (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: got %v", tt.what, got)
		}
	}
}

// TestOOMSince: jobs that were empty when the counters above were read share that reading, and one that ends later does not.
func TestOOMSince(t *testing.T) {
	s := newSession(t, testRoot(t))
	var jobs []*Job
	end := func(name string) *OOMWatch {
		j, err1 := s.NewJob(name)
		if err1 != nil {
			t.Fatal(err1)
		}
		jobs = append(jobs, j)
		w, err2 := j.WatchOOM()
		if err2 != nil {
			t.Fatal(err2)
		}
		wait(t, start(t, j, "echo ready"))
		if empty, err := j.Empty(); !empty || err != nil {
			t.Fatal(empty, err)
		}
		return w
	}
	isDaemon := func(w *OOMWatch) bool {
		o, err := w.Cause(false)
		if err != nil {
			t.Error(err)
		}
		return o.Cause == OOMDaemon
	}
	first, second := end("first"), end("second")
	if isDaemon(second) { // which has the counters read after the end of both
		t.Error("nothing was killed, and it is the daemon's doing")
	}
	need(t, "extended attributes", unix.Fsetxattr(s.fd, oomdAttrs[1], []byte("1"), 0))
	if isDaemon(first) {
		t.Error("what came after the end of a job counts as its cause")
	}
	third := &OOMWatch{job: second.job, above: second.above, before: second.before}
	if empty, err := third.job.Empty(); !empty || err != nil {
		t.Fatal(empty, err)
	}
	if !isDaemon(third) {
		t.Error("what was killed before the end of a job is not its cause")
	}
	for _, j := range jobs {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestReadUpTo: a line may be cut by the end of the buffer, at each of its bytes.
func TestReadUpTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vmstat")
	if err := os.WriteFile(file, []byte("nr_free 7\noom_kill 12345\noom 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for size := range 40 {
		for key, want := range map[string]uint64{"nr_free": 7, "oom_kill": 12345, "oom": 3, "kill": 0} {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			got := readUpTo(int(f.Fd()), key, make([]byte, size))
			f.Close()
			if missing := want == 0 || size < len("oom_kill 12345\n"); missing && got != nil && *got != want || !missing && (got == nil || *got != want) {
				t.Errorf("%s by a buffer of %d: %v, want %d", key, size, got, want)
			}
		}
	}
	text, _ := os.ReadFile("/proc/vmstat")
	if kills, known := lookup(text, "oom_kill"); known {
		exactly(t, "the machine's OOM kills", machineOOM(), kills)
	}
}

// TestOOMAbove: what the counters of cgroups above say about a job without its own.
func TestOOMAbove(t *testing.T) {
	before := []oomCounts{{path: "/r/jobs-1"}, {path: "/r", counted: true, kills: 5, local: 3}, {path: "/", counted: true, kills: 7, local: 1}}
	machine := uint64(9)
	for _, tt := range []struct {
		what   string
		change func(now []oomCounts, machine *uint64)
		want   OOM
	}{
		{"nothing", func([]oomCounts, *uint64) {}, OOM{Cause: OOMNone}},
		{"elsewhere", func(now []oomCounts, _ *uint64) { now[2].kills++ }, OOM{Cause: OOMNone}},
		{"beside others", func(now []oomCounts, _ *uint64) { now[1].kills++; now[1].local++ }, OOM{Cause: OOMAncestor, Path: "/r", Unsure: true}},
		{"beside others, further up", func(now []oomCounts, _ *uint64) { now[1].kills++; now[2].local++ }, OOM{Cause: OOMAncestor, Path: "/", Unsure: true}},
		{"beside others, unseen", func(now []oomCounts, _ *uint64) { now[1].kills++ }, OOM{Cause: OOMOutside, Unsure: true}},
		{"the daemon", func(now []oomCounts, _ *uint64) { now[1].oomd++ }, OOM{Cause: OOMDaemon, Path: "/r"}},
		{"uncounted", func(now []oomCounts, m *uint64) { clear(now); *m++ }, OOM{}},
		{"uncounted, and nobody", func(now []oomCounts, _ *uint64) { clear(now) }, OOM{Cause: OOMNone}},
	} {
		now, later := slices.Clone(before), machine
		tt.change(now, &later)
		w := &OOMWatch{above: &ancestorOOM{}, before: oomReading{before, &machine}}
		if got := w.causeAbove(oomCounts{}, oomReading{now, &later}, false); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.what, got, tt.want)
		}
	}
}
