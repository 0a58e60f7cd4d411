package cgroup

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stats reads them, all of it without an error.
func stats(t *testing.T, j *Job) *Stats {
	t.Helper()
	s, err := j.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// near fails if got is not within 3% of want.
func near(t *testing.T, what string, got *uint64, want uint64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is not known", what)
	} else if d := float64(*got) - float64(want); d > 0.03*float64(want) || d < -0.03*float64(want) {
		t.Errorf("%s is %d, want %d", what, *got, want)
	}
}

func exactly(t *testing.T, what string, got *uint64, want uint64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is not known", what)
	} else if *got != want {
		t.Errorf("%s is %d, want %d", what, *got, want)
	}
}

func TestCPUTime(t *testing.T) {
	j := newJob(t)
	pid, _ := work(t, j, "burn", 1500)
	var ru unix.Rusage
	if _, err := unix.Wait4(pid, nil, 0, &ru); err != nil {
		t.Fatal(err)
	}
	c := stats(t, j).CPU
	want := uint64((ru.Utime.Nano() + ru.Stime.Nano()) / 1000) // with the end of the process
	near(t, "the CPU time", c.Usage, want)
	if want < 1_500_000 {
		t.Errorf("the process used %d us", want)
	}
	if sum := *c.User + *c.System; sum > *c.Usage+1 || sum+1 < *c.Usage {
		t.Errorf("user %d + system %d is not %d", *c.User, *c.System, *c.Usage)
	}
}

func TestMemoryUse(t *testing.T) {
	j := limitedJob(t, "memory")
	pid, ready := work(t, j, "alloc", 300)
	if !ready {
		t.Fatal(wait(t, pid))
	}
	m := stats(t, j).Memory
	near(t, "anon", m.Stat.Anon, 300<<20)
	s, err := j.Sampler()
	if err != nil {
		t.Fatal(err)
	}
	sample, err := s.Sample()
	if err != nil {
		t.Error(err)
	}
	near(t, "anon of a sample", sample.Stat.Anon, 300<<20)
	s.Close()
	limit(t, j, "memory-high 1G", "memory-max 2G") // of a running job
	if err := j.node.killAndWait(); err != nil {
		t.Error(err)
	}
	wait(t, pid)
	m = stats(t, j).Memory
	near(t, "the peak", m.Peak, 300<<20)
	exactly(t, "oom_kill", m.Events.OOMKill, 0)
}

// TestStatsWithoutControllers: what every cgroup has is there, the rest is nil.
func TestStatsWithoutControllers(t *testing.T) {
	j := newJob(t)
	if has, err := j.node.list("cgroup.controllers"); err != nil || len(has) > 0 {
		t.Skipf("controllers: %v, %v", has, err)
	}
	s := stats(t, j)
	if s.CPU == nil || s.CPU.Usage == nil || s.CPU.Throttled != nil || s.Memory != nil || s.Pids != nil {
		t.Errorf("%+v", s)
	}
	w, err := j.WatchOOM()
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else may be killed on the machine just now.
	if o, err := w.Cause(false); err != nil || o != (OOM{Cause: OOMNone}) && o != (OOM{}) {
		t.Errorf("%+v, %v", o, err)
	}
	need(t, "extended attributes", unix.Fsetxattr(j.main.fd, "user.oomd_ooms", []byte("1"), 0))
	if o, err := w.Cause(false); err != nil || o.Cause != OOMDaemon || o.Path != j.Path() {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := w.Cause(true); err != nil || o != (OOM{Cause: OOMNone}) && o != (OOM{}) {
		t.Errorf("of a job that was spared: %+v, %v", o, err)
	}
}

// TestSampler: numbers grow, and closing leaves no descriptor.
func TestSampler(t *testing.T) {
	j := newJob(t)
	before := openFDs(t)
	s, err := j.Sampler()
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Sample()
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := work(t, j, "burn", 50)
	wait(t, pid)
	second, err := s.Sample()
	if err != nil || *second.CPU.Usage < *first.CPU.Usage+40_000 {
		t.Errorf("%+v, %v", second.CPU, err)
	}
	s.Close()
	if after := openFDs(t); after != before-1 { // the start has closed the leaf
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestStatsCost: a run of "true" reads all of it once.
func TestStatsCost(t *testing.T) {
	j := newJob(t)
	least := time.Hour
	for range 20 {
		start := time.Now()
		stats(t, j)
		least = min(least, time.Since(start))
	}
	t.Logf("at best %v, %.0f allocations", least, testing.AllocsPerRun(20, func() { j.Stats() }))
}
