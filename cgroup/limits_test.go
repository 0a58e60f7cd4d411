package cgroup

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests in this file need controllers: a delegated cgroup that holds only
// the test, as in integration/vm.

// limitedJob makes a job below a root of our own that hands controllers down.
func limitedJob(t *testing.T, controllers ...string) *Job {
	t.Helper()
	s, err := Open()
	if err == nil && s.root.origin == Shared {
		s.Close()
		err = errors.New("the own cgroup is shared")
	}
	needBed(t, "a delegated cgroup", err)
	j, err := s.NewJob("test")
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(j.node.killAndWait(), j.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Claim(j); err != nil {
		t.Fatal(err)
	}
	has, err := j.node.list("cgroup.controllers")
	for _, c := range controllers {
		if err == nil && !slices.Contains(has, c) {
			err = errors.New("the job was given " + strings.Join(has, " "))
		}
		needBed(t, "the controller "+c, err)
	}
	return j
}

// needBed skips, or fails in the bed that promises controllers.
func needBed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && os.Getenv("SUPERVISE_BED") == "vm" {
		t.Fatalf("%s: %v", what, err)
	}
	if err != nil {
		t.Skipf("%s: %v", what, err)
	}
}

// TestMayOverlap: a main process may have this process's memory, and go on beside it, where no limit of memory is its own.
func TestMayOverlap(t *testing.T) {
	j := limitedJob(t, "memory")
	may := func(when string, want bool) {
		t.Helper()
		if got := j.MayOverlap(); got != want {
			t.Errorf("%s: %t, want %t", when, got, want)
		}
	}
	may("before the first start", false)
	pid, err := j.Start("/bin/true", []string{"true"}, attr())
	if err != nil {
		t.Fatal(err)
	}
	wait(t, pid)
	may("after it", true)
	for _, most := range []string{"1G", "max"} {
		if err := j.s.write("memory.max", most); err != nil {
			t.Fatal(err)
		}
		may("all jobs have "+most, most == "max")
	}
	limit(t, j, "pids-max 10")
	may("with a limit of processes", true)
	limit(t, j, "memory-max 1G")
	may("with a limit of memory", false)
}

func limit(t *testing.T, j *Job, words ...string) {
	t.Helper()
	var l Limits
	for _, w := range words {
		name, value, _ := strings.Cut(w, " ")
		one, err := ParseLimit(name, value)
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, one...)
	}
	if err := j.Limit(l.Complete()); err != nil {
		t.Fatal(err)
	}
}

// work starts a helper in the job and waits until it is ready, or gone.
func work(t *testing.T, j *Job, helper string, n int) (pid int, ready bool) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := attr()
	a.Env = append(a.Env, helperEnv+"="+helper, "GOMAXPROCS=1")
	a.Files[1] = w.Fd()
	pid, err = j.Start("/proc/self/exe", []string{"helper", strconv.Itoa(n)}, a)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(r).ReadString('\n')
	return pid, line == "ready\n"
}

func TestPidsMax(t *testing.T) {
	j := limitedJob(t, "pids")
	limit(t, j, "TasksMax 20")
	// dash ends at the first fork that fails; its children stay.
	pid := start(t, j, "echo ready; for i in $(seq 50); do sleep 1000 & done 2>/dev/null")
	if ws := wait(t, pid); ws.ExitStatus() == 0 {
		t.Error("it could start them all")
	}
	p := stats(t, j).Pids
	exactly(t, "forks that failed", p.MaxEvents, 1)
	exactly(t, "the peak", p.Peak, 20)
	exactly(t, "what is left", p.Current, 19)
	kill(t, j)
}

func TestCPUs(t *testing.T) {
	j := limitedJob(t, "cpu")
	limit(t, j, "cpus 0.5", "cpu-weight 50")
	const wall = 3000
	start := time.Now()
	pid, _ := work(t, j, "clock", wall)
	wait(t, pid)
	c := stats(t, j).CPU
	used := float64(*c.Usage) / float64(time.Since(start).Microseconds())
	if used > 0.525 || used < 0.1 { // a busy machine may give it less than 0.5
		t.Errorf("used %.3f CPUs", used)
	}
	if c.Throttled == nil || *c.Throttled == 0 || *c.ThrottledTime == 0 || *c.Periods < *c.Throttled {
		t.Errorf("throttled: %+v", c)
	}
}

// TestWrites: bytes to a block device, and a limit of them.
func TestWrites(t *testing.T) {
	j := limitedJob(t, "io")
	limit(t, j, "io-max /var/tmp,wbps=8M")
	start := time.Now()
	pid, ready := work(t, j, "write", 16)
	if ws := wait(t, pid); !ready {
		t.Fatal(ws)
	}
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("16 MiB at 8 MiB/s took %v", took)
	}
	io := stats(t, j).IO
	near(t, "bytes written", &io.Total.WriteBytes, 16<<20)
	if len(io.Devices) != 1 || io.Devices[0].Stacked || io.Total.WriteOps < 16 {
		t.Errorf("%+v", io)
	}
}

func TestCPUSet(t *testing.T) {
	j := limitedJob(t, "cpuset")
	limit(t, j, "AllowedCPUs 0", "cpuset-mems 0")
	pid := start(t, j, "grep Cpus_allowed_list /proc/self/status >/dev/null && echo ready; exec sleep 1000")
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil || set.Count() != 1 || !set.IsSet(0) {
		t.Errorf("%v, %v", set, err)
	}
	kill(t, j)
	var bad *ValueError
	absent := Limits{{Flag: "absent", Controller: "cpuset", File: "cpuset.cpus", Value: "60000"}}
	if err := j.Limit(absent); !errors.As(err, &bad) || !strings.Contains(err.Error(), "there are 0") {
		t.Errorf("a CPU that is not there: %v", err)
	}
	if err := j.s.write("cpuset.cpus", "1"); err != nil {
		t.Fatal(err)
	}
	unheeded := Limits{{Flag: "unheeded", Controller: "cpuset", File: "cpuset.cpus", Value: "0"}}
	if err := j.Limit(unheeded); err == nil || !strings.Contains(err.Error(), "only 1") {
		t.Errorf("a CPU that the cgroup above does not have: %v", err)
	}
}

// TestRefused: each that the kernel refuses is named, and the rest is set.
func TestRefused(t *testing.T) {
	j := limitedJob(t, "memory", "pids", "io")
	l := Limits{
		{Flag: "set", Given: "memory.max=x", Controller: "memory", File: "memory.max", Value: "x"},
		{Flag: "set", Given: "memory.nosuch=1", Controller: "memory", File: "memory.nosuch", Value: "1"},
		{Flag: "io-max", Given: "4095:1,rbps=1", Controller: "io", File: "io.max", Value: "4095:1 rbps=1"},
		{Flag: "pids-max", Given: "7", Controller: "pids", File: "pids.max", Value: "7"},
		{Flag: "set", Given: "nosuch.max=1", Controller: "nosuch", File: "nosuch.max", Value: "1"},
	}
	err := j.Limit(l)
	var failed LimitErrors
	if !errors.As(err, &failed) || len(failed) != 4 {
		t.Fatalf("%v", err)
	}
	t.Log(err)
	if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, unix.EINVAL) || !errors.Is(err, unix.ENODEV) {
		t.Error("an error is missing")
	}
	var c *ControllerError
	if !errors.As(err, &c) || c.Controller != "nosuch" {
		t.Errorf("%+v", c)
	}
	if b, _ := j.node.read("pids.max"); string(b) != "7\n" {
		t.Errorf("pids.max is %q", b)
	}
}

// TestControllerMissing: a job in a cgroup that was handed nothing. Here, below the
// test's own cgroup, which holds a process.
func TestControllerMissing(t *testing.T) {
	j := newJob(t)
	for _, controller := range Inspect().Ancestors[0].Controllers {
		one := Limit{Flag: "set", Given: controller + ".x=1", Controller: controller, File: controller + ".x", Value: "1"}
		err := j.Limit(Limits{one})
		var c *ControllerError
		if !errors.As(err, &c) || c.Ancestor == "" || !strings.HasPrefix(j.Path(), c.Ancestor) {
			t.Errorf("%s: %v", controller, err)
			continue
		}
		if d, err := openDir(c.Ancestor); err != nil {
			t.Error(err)
		} else {
			has, _ := d.list("cgroup.controllers")
			hands, _ := d.list("cgroup.subtree_control")
			d.close()
			if !slices.Contains(has, controller) || slices.Contains(hands, controller) {
				t.Errorf("%s does not stop at %s", controller, c.Ancestor)
			}
		}
		t.Log(err)
	}
	if err := j.Limit(Limits{{Flag: "implied", Controller: "memory", File: "memory.oom.group", Value: "1", Implied: true}}); err != nil {
		t.Errorf("an implied limit: %v", err)
	}
	if v1 := Inspect().V1; slices.Contains(v1, "memory") {
		err := j.Limit(Limits{{Flag: "memory-max", Given: "1G", Controller: "memory", File: "memory.max", Value: "1G"}})
		if err == nil || !strings.Contains(err.Error(), "cgroup v1 holds it") {
			t.Error(err)
		}
		t.Log(err)
	}
}
