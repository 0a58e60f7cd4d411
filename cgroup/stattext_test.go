package cgroup

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// none is isStacked of a machine without such devices.
func none(device) bool { return false }

// fromFiles reads Stats from copies of the kernel's files in a directory of testdata.
func fromFiles(t *testing.T, dir string) *Stats {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return b
	}
	return &Stats{
		CPU: parseCPUStat(read("cpu.stat")),
		Memory: &MemoryUsage{
			Current: parseNumber(read("memory.current")), Peak: parseNumber(read("memory.peak")),
			Swap: parseNumber(read("memory.swap.current")), SwapPeak: parseNumber(read("memory.swap.peak")),
			Stat:   parseMemoryStat(read("memory.stat")),
			Events: parseMemoryEvents(read("memory.events")), EventsLocal: parseMemoryEvents(read("memory.events.local")),
		},
		IO: parseIOStat(read("io.stat"), none),
		Pids: &PidsUsage{
			Current: parseNumber(read("pids.current")), Peak: parseNumber(read("pids.peak")), MaxEvents: number(read("pids.events"), "max"),
		},
		CPUPressure: parsePressure(read("cpu.pressure")), MemoryPressure: parsePressure(read("memory.pressure")),
		IOPressure: parsePressure(read("io.pressure")),
	}
}

// TestGolden reads the files of a job as real kernels wrote them (Debian 12: 6.1, and
// 6.12 of its backports), and compares with results that were checked by eye.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob("testdata/linux-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got, err := json.MarshalIndent(fromFiles(t, dir), "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join(dir, "golden.json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(want)) != string(got) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestNoFile: a missing file gives nil.
func TestNoFile(t *testing.T) {
	if parseCPUStat(nil) != nil || parseMemoryStat(nil) != nil || parseMemoryEvents(nil) != nil || parsePressure(nil) != nil ||
		parseIOStat(nil, none) != nil || parseNumber(nil) != nil || number(nil, "a") != nil {
		t.Error("something of nothing")
	}
	if parseNumber([]byte("max\n")) != nil {
		t.Error("max is a number")
	}
	if c := parseCPUStat([]byte("usage_usec 7\n")); *c.Usage != 7 || c.Throttled != nil {
		t.Errorf("%+v", c)
	}
}

func TestPressure(t *testing.T) {
	old := []byte("some avg10=0.12 avg60=0.00 avg300=0.00 total=123\n") // cpu.pressure before 5.13
	if p := parsePressure(old); p.Some == nil || *p.Some != 123 || p.Full != nil {
		t.Errorf("%+v", p)
	}
	if p := parsePressure([]byte{}); p == nil || p.Some != nil {
		t.Errorf("%+v", p)
	}
}

func TestIOStat(t *testing.T) {
	stacked := func(d device) bool { return d.major == 253 }
	text := `7:7 7:0 8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0 cost.usage=12 use_delay=0
253:1 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0
8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6
259:0 
(unknown) rbytes=9
`
	s := parseIOStat([]byte(text), stacked)
	if len(s.Devices) != 3 || s.Devices[0].Major != 8 || !s.Devices[1].Stacked || s.Devices[2].Minor != 16 {
		t.Errorf("%+v", s.Devices)
	}
	if want := (IOCounters{4097, 8194, 4, 6, 5, 6}); s.Total != want {
		t.Errorf("%+v, want %+v", s.Total, want)
	}
	if s := parseIOStat([]byte{}, none); s == nil || len(s.Devices) != 0 {
		t.Errorf("an empty file is no I/O: %+v", s)
	}
}

// TestStacked checks every block device of this machine against sysfs.
func TestStacked(t *testing.T) {
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Skip("no block devices in sysfs")
	}
	for _, e := range entries {
		d, _ := parseDevice(e.Name())
		slaves, _ := os.ReadDir(d.sysfs("slaves"))
		want := len(slaves) > 0 || exists(d.sysfs("loop/backing_file"))
		if got := isStacked(d); got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
}

// FuzzStatText feeds the parsers what a kernel might write.
func FuzzStatText(f *testing.F) {
	files, _ := filepath.Glob("testdata/linux-*/*.*")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parseCPUStat(b)
		parseMemoryStat(b)
		parseMemoryEvents(b)
		parsePressure(b)
		parseNumber(b)
		if s := parseIOStat(b, none); s != nil {
			var sum IOCounters
			for i := range s.Devices {
				sum.add(&s.Devices[i].IOCounters)
			}
			if sum != s.Total {
				t.Errorf("%+v", s)
			}
		}
	})
}
