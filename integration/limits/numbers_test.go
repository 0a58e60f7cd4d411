package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestCPUNumbers(t *testing.T) {
	need(t)
	for _, threads := range []int{1, 2, 4} {
		o := run(t, work(t, "burn", fmt.Sprint(threads), "2000")...)
		used, err := strconv.ParseFloat(strings.TrimSpace(o.out), 64) // the start of a program takes long in a slow guest
		if err != nil || used < 2*float64(threads) {
			t.Fatalf("it says that it has used %q", o.out)
		}
		within(t, fmt.Sprintf("cpu.total_s of %d threads", threads), o.CPU.TotalS, used, 10) // with the process's end
	}
}

// TestMemoryNumbers: dd holds one block.
func TestMemoryNumbers(t *testing.T) {
	need(t)
	o := run(t, "--sample", "50ms", "--", "sh", "-c", "dd if=/dev/zero bs=256M count=1 | { sleep 2; cat >/dev/null; }")
	within(t, "memory.peak_bytes", float(o.Memory.PeakBytes), 256*mib, 3)
	if o.Memory.AtPeak == nil {
		t.Fatal("no split")
	}
	within(t, "memory.at_peak.anon_bytes", float(o.Memory.AtPeak.AnonBytes), 256*mib, 3)
}

// TestSizing: the peak of a job that writes a file is mostly page cache. What it needs is its own memory and what it shares,
// as the samples see it, and the summary says that.
func TestSizing(t *testing.T) {
	need(t)
	file := filepath.Join("/var/tmp", fmt.Sprintf("limits-%d", os.Getpid()))
	defer os.Remove(file)
	shared := filepath.Join("/dev/shm", fmt.Sprintf("limits-%d", os.Getpid()))
	defer os.Remove(shared)
	script := fmt.Sprintf("dd if=/dev/zero of=%s bs=1M count=300 && dd if=/dev/zero of=%s bs=1M count=20 && dd if=/dev/zero bs=100M count=1 | { sleep 2; cat >/dev/null; }", file, shared)
	o := run(t, append([]string{"--summary", "--sample", "50ms"}, sh(script)...)...)
	if *o.Memory.PeakBytes < 300*mib || o.Memory.SampledMax == nil {
		t.Fatalf("peak %d, sampled %v", *o.Memory.PeakBytes, o.Memory.SampledMax)
	}
	within(t, "memory.sampled_max.anon_bytes", float(o.Memory.SampledMax.AnonBytes), 100*mib, 5)
	within(t, "memory.sampled_max.shmem_bytes", float(o.Memory.SampledMax.ShmemBytes), 20*mib, 5)
	if !strings.Contains(o.err, "size by:     12") || !strings.Contains(o.err, "page cache included") {
		t.Errorf("stderr %q", o.err)
	}
	o = run(t, append([]string{"--summary"}, sh("true")...)...)
	if o.Memory.SampledMax != nil || !strings.Contains(o.err, "--sample measures") {
		t.Errorf("without samples: %+v, stderr %q", o.Memory.SampledMax, o.err)
	}
}

// TestIONumbers: a writer past the page cache; other writes of the file system are the kernel's.
func TestIONumbers(t *testing.T) {
	need(t)
	file := filepath.Join("/var/tmp", fmt.Sprintf("limits-%d", os.Getpid()))
	defer os.Remove(file)
	o := run(t, "--", "dd", "if=/dev/zero", "of="+file, "bs=1M", "count=32", "oflag=direct", "conv=fsync")
	within(t, "io.write_bytes", float(o.IO.WriteBytes), 32*mib, 3)
	if len(o.IO.Devices) != 1 {
		t.Errorf("devices %v", o.IO.Devices)
	}
}

func TestPidsNumbers(t *testing.T) {
	need(t)
	o := run(t, sh("for i in $(seq 40); do sleep 1000 & done")...)
	isCount(t, "pids.peak", o.Pids.Peak, 41)
	isCount(t, "pids.max_hits", o.Pids.MaxHits, 0)
}

// TestAlwaysThere: a job that is over at once has all numbers, each time.
func TestAlwaysThere(t *testing.T) {
	need(t)
	n := 1000
	if testing.Short() {
		n = 10
	}
	for i := range n {
		o := run(t, "--", "true")
		if o.CPU.TotalS == nil || *o.CPU.TotalS <= 0 || o.Memory.PeakBytes == nil || *o.Memory.PeakBytes == 0 || o.Pids.Peak == nil || *o.Pids.Peak != 1 {
			t.Fatalf("run %d: %+v", i, o.record)
		}
	}
}

func TestPhases(t *testing.T) {
	need(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("load\n")
	w.Close()
	c := supervise(t, "run", "--marks", "fd:3", "--record", "-", "--", "true")
	c.ExtraFiles = []*os.File{r}
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), `"phases":[{"name":"",`) || !strings.Contains(string(out), `{"name":"load",`) {
		t.Errorf("%s", out)
	}
}
