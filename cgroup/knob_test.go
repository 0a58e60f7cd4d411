package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestParseLimit has both spellings of every limit, as the kernel takes them.
func TestParseLimit(t *testing.T) {
	for _, tt := range []struct{ name, value, file, want string }{
		{"memory-max", "1G", "memory.max", "1073741824"},
		{"MemoryMax", "1.5g", "memory.max", "1610612736"},
		{"memory-max", "infinity", "memory.max", "max"},
		{"memory-high", "64KiB", "memory.high", "65536"},
		{"MemoryHigh", "100kB", "memory.high", "102400"},
		{"memory-low", "0", "memory.low", "0"},
		{"MemoryMin", "2T", "memory.min", "2199023255552"},
		{"swap-max", "0", "memory.swap.max", "0"},
		{"MemorySwapMax", "max", "memory.swap.max", "max"},
		{"oom-group", "yes", "memory.oom.group", "1"},
		{"oom-group", "No", "memory.oom.group", "0"},
		{"cpus", "1.5", "cpu.max", "150000 100000"},
		{"cpus", "0.01", "cpu.max", "1000 100000"},
		{"cpus", "max", "cpu.max", "max"},
		{"CPUQuota", "150%", "cpu.max", "150000 100000"},
		{"CPUQuota", "33.3%", "cpu.max", "33300 100000"},
		{"cpu-weight", "10000", "cpu.weight", "10000"},
		{"CPUWeight", "idle", "cpu.idle", "1"},
		{"cpuset", "0-3,8", "cpuset.cpus", "0-3,8"},
		{"AllowedCPUs", "0 2-3", "cpuset.cpus", "0,2-3"},
		{"AllowedMemoryNodes", "0", "cpuset.mems", "0"},
		{"pids-max", "200", "pids.max", "200"},
		{"TasksMax", "infinity", "pids.max", "max"},
		{"io-weight", "50", "io.weight", "50"},
		{"set", "memory.zswap.max=0", "memory.zswap.max", "0"},
		{"set", "io.latency=8:0 target=1000", "io.latency", "8:0 target=1000"},
		{"set", "cgroup.max.depth=3", "cgroup.max.depth", "3"},
	} {
		l, err := ParseLimit(tt.name, tt.value)
		if err != nil || len(l) != 1 {
			t.Errorf("%s %s: %v, %v", tt.name, tt.value, l, err)
			continue
		}
		if l[0].File != tt.file || l[0].Value != tt.want || l[0].Controller != controllerOf(tt.file) {
			t.Errorf("%s %s: %+v", tt.name, tt.value, l[0])
		}
	}
}

// TestLimitNames: the name in messages is what the user wrote, and so is the flag.
func TestLimitNames(t *testing.T) {
	for name, want := range map[string]string{"memory-max": "--memory-max 1G", "MemoryMax": "MemoryMax=1G"} {
		if l, err := ParseLimit(name, "1G"); err != nil || l[0].Name() != want || l[0].Flag != name || l[0].Given != "1G" {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	if l, err := ParseLimit("set", "memory.low=5"); err != nil || l[0].String() != "--set memory.low=5" || l[0].Flag != "set" {
		t.Errorf("set: %+v, %v", l, err)
	}
	for name, want := range map[string]string{"memory-max": "--memory-max : want", "MemoryMax": "MemoryMax=: want", "set": "--set : want"} {
		if _, err := ParseLimit(name, ""); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s without a value: %v", name, err)
		}
	}
	for want, one := range map[string]Limit{
		"memory.limit":                   {Flag: "memory.limit"},
		"hugepageLimits[0]":              {Flag: "hugepageLimits[0]"},
		"--resources r.json: cpu.shares": {Flag: "resources", Given: "r.json: cpu.shares"},
	} {
		if one.Name() != want {
			t.Errorf("%s, want %s", one, want)
		}
	}
	flags, properties := LimitNames()
	if !slices.Contains(flags, "io-max") || !slices.Contains(properties, "IOReadIOPSMax") || slices.Contains(flags, "") {
		t.Error(flags, properties)
	}
}

// TestPercent: of the machine's memory, and of its tasks.
func TestPercent(t *testing.T) {
	total, err := machineMemory()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"memory-max": total / 4, "MemoryHigh": total / 4} {
		l, err := ParseLimit(name, "25%")
		if err != nil || l[0].Value != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v; want %d", name, l, err, want)
		}
	}
	all, err := machineTasks()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := ParseLimit("TasksMax", "10%"); err != nil || l[0].Value != fmt.Sprint(uint64(0.1*float64(all))) {
		t.Errorf("%v, %v", l, err)
	}
}

// TestLimitRefusals: the error is one line with the limit as written and the values that are accepted.
func TestLimitRefusals(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"memory-max", "512", "at least 4096 bytes"},
		{"memory-max", "", "want a size"},
		{"memory-max", "-1", "want a size"},
		{"memory-max", "1X", "want a size"},
		{"memory-max", "1i", "want a size"},
		{"memory-max", "1e9", "want a size"},
		{"memory-max", "1GG", "want a size"},
		{"memory-max", "9E", "too large"},
		{"memory-max", "99999999999999999999", "too large"},
		{"memory-max", "110%", "at most 100%"},
		{"swap-max", "some", "want a size"},
		{"oom-group", "maybe", "yes or no"},
		{"cpus", "150%", "number of CPUs"},
		{"cpus", "0", "0.01 or more"},
		{"cpus", "1e3", "number of CPUs"},
		{"cpus", "NaN", "number of CPUs"},
		{"CPUQuota", "1.5", "percentage of one CPU"},
		{"CPUQuota", "0%", "1% or more"},
		{"cpu-weight", "0", "from 1 to 10000, or idle"},
		{"io-weight", "10001", "from 1 to 10000"},
		{"io-weight", "idle", "from 1 to 10000"},
		{"cpuset", "3-1", "a list such as"},
		{"cpuset", "", "a list such as"},
		{"cpuset", "0-99999", "a list such as"},
		{"pids-max", "0", "from 1 to 4194304"},
		{"pids-max", "200%", "a percentage or max"},
		{"io-max", "8:0", "one key at least"},
		{"io-max", "8:0,bps=1", "one key at least"},
		{"io-max", "8:0,rbps=0", "amount per second"},
		{"io-max", "/no/such,rbps=1M", "/no/such"},
		{"io-max", "/dev/null,rbps=1M", "character device"},
		{"io-max", "/proc,rbps=1M", "name the device"},
		{"IOReadBandwidthMax", "5M", "a device and an amount"},
		{"set", "memory/max=1", "FILE=VALUE"},
		{"set", "memory.max", "FILE=VALUE"},
		{"set", "..=1", "FILE=VALUE"},
		{"set", "memory.low=", "want a value"},
		{"set", "cgroup.procs=1", "the file of a controller"},
		{"memory-maks", "1G", "there is no limit \"memory-maks\""},
		{"", "1G", "no limit"},
		{"unheard-of", "1G", "no limit"},
	} {
		l, err := ParseLimit(tt.name, tt.value)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %q: %v, %v; want %q", tt.name, tt.value, l, err, tt.want)
		}
	}
}

// TestDevices finds the disk of every block device of this machine.
func TestDevices(t *testing.T) {
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Skip("no block devices in sysfs")
	}
	for _, e := range entries {
		d, err := findDevice(e.Name())
		if err != nil {
			t.Error(err)
			continue
		}
		if exists(d.sysfs("partition")) {
			t.Errorf("%s: %v is a partition", e.Name(), d)
		}
		link, err := filepath.EvalSymlinks("/sys/dev/block/" + e.Name())
		if disk := filepath.Base(filepath.Dir(link)); err == nil && disk != "block" {
			if want, _ := readFile("/sys/class/block/" + disk + "/dev"); strings.TrimSpace(string(want)) != d.String() {
				t.Errorf("%s: %v, want that of %s: %s", e.Name(), d, disk, want)
			}
		}
	}
	if _, err := findDevice("4095:1"); err == nil {
		t.Error("found a device that is not there")
	}
}

// TestIOMax: each key, and both ways of counting.
func TestIOMax(t *testing.T) {
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Skip("no block devices in sysfs")
	}
	dev := entries[0].Name()
	d, err := findDevice(dev)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, value, want string }{
		{"io-max", dev + ",rbps=1M,wiops=100", "rbps=1048576 wiops=100"},
		{"io-max", dev + ",wbps=max", "wbps=max"},
		{"IOReadBandwidthMax", dev + " 5M", "rbps=5000000"},
		{"IOWriteBandwidthMax", dev + "\t5MiB", "wbps=5242880"},
		{"IOReadIOPSMax", dev + " 1K", "riops=1000"},
		{"IOWriteIOPSMax", dev + " infinity", "wiops=max"},
	} {
		l, err := ParseLimit(tt.name, tt.value)
		if want := d.String() + " " + tt.want; err != nil || l[0].Value != want || l[0].File != "io.max" {
			t.Errorf("%s %s: %v, %v; want %q", tt.name, tt.value, l, err, want)
		}
	}
}

func TestComplete(t *testing.T) {
	parse := func(words ...string) (l Limits) {
		for _, w := range words {
			name, value, _ := strings.Cut(w, " ")
			one, err := ParseLimit(name, value)
			if err != nil {
				t.Fatal(err)
			}
			l = append(l, one...)
		}
		return l
	}
	for _, tt := range []struct {
		given Limits
		want  string
	}{
		{parse("memory-max 1G"), "memory.swap.max=0 memory.oom.group=1"},
		{parse("memory-high 1G"), "memory.swap.max=0"},
		{parse("memory-max 1G", "swap-max 1G"), "memory.oom.group=1"},
		{parse("memory-max 1G", "oom-group no"), "memory.swap.max=0"},
		{parse("memory-max max"), ""},
		{parse("memory-max 1G", "MemoryMax infinity"), ""},
		{parse("cpus 2", "pids-max 5"), ""},
	} {
		var got []string
		for _, one := range tt.given.Complete()[len(tt.given):] {
			got = append(got, one.File+"="+one.Value)
			if !one.Implied || one.Name() != tt.given[0].Name() {
				t.Errorf("%+v", one)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %v, want %s", tt.given, got, tt.want)
		}
	}
}

func TestOrder(t *testing.T) {
	l := Limits{{File: "memory.max"}, {File: "pids.max"}, {File: "memory.high"}, {File: "memory.swap.max"}, {File: "cpu.max"}}
	var got []string
	for _, one := range l.ordered() {
		got = append(got, one.File)
	}
	if want := []string{"pids.max", "cpu.max", "memory.swap.max", "memory.high", "memory.max"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}

// FuzzParseLimit: an accepted text becomes one plain value for one plain file, and a size
// that was read and is written back in bytes is the same.
func FuzzParseLimit(f *testing.F) {
	for _, k := range knobs {
		for _, v := range []string{"1G", "50%", "0-3,8", "idle", "max", "8:0,rbps=1M", "/ 5M", "yes", "100", "1.5"} {
			f.Add(k.flag+k.systemd, v)
		}
	}
	f.Add("set", "a.b=c")
	f.Fuzz(func(t *testing.T, name, value string) {
		limits, err := ParseLimit(name, value)
		if err != nil {
			return
		}
		for _, l := range limits {
			if l.File == "" || l.Value == "" || strings.ContainsAny(l.File, "/\n\x00") || strings.ContainsRune(l.Value, 0) {
				t.Errorf("%q %q: %+v", name, value, l)
			}
			if l.File == "memory.max" && name != setFlag {
				again, err := ParseLimit(name, l.Value)
				if err != nil || again[0].Value != l.Value {
					t.Errorf("%q %q: %+v, again %+v, %v", name, value, l, again, err)
				}
			}
		}
	})
}
