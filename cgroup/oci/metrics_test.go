package oci

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/cgroups/v3/cgroup2/stats"

	"github.com/seed-c1490a04/supervise/cgroup"
)

// numbers are readings by file and key, "cpu.stat user_usec".
type numbers map[string]uint64

// set takes a number that is there.
func (n numbers) set(key string, v *uint64) {
	if v != nil {
		n[key] = *v
	}
}

// ours is what cgroup.Stats and containerd's Metrics both have, in ours.
func ours(s *cgroup.Stats) numbers {
	n := numbers{}
	if c := s.CPU; c != nil {
		n.set("cpu.stat usage_usec", c.Usage)
		n.set("cpu.stat user_usec", c.User)
		n.set("cpu.stat system_usec", c.System)
		n.set("cpu.stat nr_periods", c.Periods)
		n.set("cpu.stat nr_throttled", c.Throttled)
		n.set("cpu.stat throttled_usec", c.ThrottledTime)
	}
	if p := s.Pids; p != nil {
		n.set("pids.current", p.Current)
	}
	n.memory(s.Memory)
	if s.IO != nil {
		for _, d := range s.IO.Devices {
			n.io(fmt.Sprintf("io.stat %d:%d ", d.Major, d.Minor), d.ReadBytes, d.WriteBytes, d.ReadOps, d.WriteOps)
		}
	}
	for file, p := range map[string]*cgroup.Pressure{"cpu": s.CPUPressure, "memory": s.MemoryPressure, "io": s.IOPressure} {
		if p != nil {
			n.set(file+".pressure some", p.Some)
			n.set(file+".pressure full", p.Full)
		}
	}
	return n
}

func (n numbers) memory(m *cgroup.MemoryUsage) {
	if m == nil {
		return
	}
	n.set("memory.current", m.Current)
	n.set("memory.peak", m.Peak)
	n.set("memory.swap.current", m.Swap)
	n.set("memory.swap.peak", m.SwapPeak)
	if s := m.Stat; s != nil {
		n.set("memory.stat anon", s.Anon)
		n.set("memory.stat file", s.File)
	}
	if e := m.Events; e != nil {
		n.set("memory.events low", e.Low)
		n.set("memory.events high", e.High)
		n.set("memory.events max", e.Max)
		n.set("memory.events oom", e.OOM)
		n.set("memory.events oom_kill", e.OOMKill)
		n.set("memory.events oom_group_kill", e.OOMGroupKill)
	}
}

// io leaves out zeros: a device that was not used need not be listed.
func (n numbers) io(device string, rbytes, wbytes, rios, wios uint64) {
	for key, v := range map[string]uint64{"rbytes": rbytes, "wbytes": wbytes, "rios": rios, "wios": wios} {
		if v != 0 {
			n[device+key] = v
		}
	}
}

// theirs is the same of containerd's.
func theirs(m *stats.Metrics) numbers {
	n := numbers{}
	c, y, e := m.GetCPU(), m.GetMemory(), m.GetMemoryEvents() // of nil they have zeros
	for key, v := range map[string]uint64{
		"cpu.stat usage_usec":          c.GetUsageUsec(),
		"cpu.stat user_usec":           c.GetUserUsec(),
		"cpu.stat system_usec":         c.GetSystemUsec(),
		"cpu.stat nr_periods":          c.GetNrPeriods(),
		"cpu.stat nr_throttled":        c.GetNrThrottled(),
		"cpu.stat throttled_usec":      c.GetThrottledUsec(),
		"pids.current":                 m.GetPids().GetCurrent(),
		"memory.current":               y.GetUsage(),
		"memory.peak":                  y.GetMaxUsage(),
		"memory.swap.current":          y.GetSwapUsage(),
		"memory.swap.peak":             y.GetSwapMaxUsage(),
		"memory.stat anon":             y.GetAnon(),
		"memory.stat file":             y.GetFile(),
		"memory.events low":            e.GetLow(),
		"memory.events high":           e.GetHigh(),
		"memory.events max":            e.GetMax(),
		"memory.events oom":            e.GetOom(),
		"memory.events oom_kill":       e.GetOomKill(),
		"memory.events oom_group_kill": e.GetOomGroupKill(),
	} {
		n[key] = v
	}
	for _, d := range m.GetIo().GetUsage() {
		n.io(fmt.Sprintf("io.stat %d:%d ", d.Major, d.Minor), d.Rbytes, d.Wbytes, d.Rios, d.Wios)
	}
	for file, p := range map[string]*stats.PSIStats{"cpu": c.GetPSI(), "memory": y.GetPSI(), "io": m.GetIo().GetPSI()} {
		if p != nil {
			n[file+".pressure some"] = p.GetSome().GetTotal()
			n[file+".pressure full"] = p.GetFull().GetTotal()
		}
	}
	return n
}

// plain reads the files with no parser of either.
func plain(t *testing.T, j *cgroup.Job) numbers {
	t.Helper()
	n := numbers{}
	for _, file := range []string{
		"cpu.stat", "pids.current", "memory.current", "memory.peak", "memory.swap.current", "memory.swap.peak",
		"memory.stat", "memory.events", "io.stat", "cpu.pressure", "memory.pressure", "io.pressure",
	} {
		for line := range strings.Lines(read(t, j, file)) {
			n.line(file, strings.Fields(line))
		}
	}
	return n
}

// line takes "1", "key 1", "8:0 rbytes=1 ..." or "some ... total=1".
func (n numbers) line(file string, words []string) {
	key := file
	if len(words) > 1 {
		key += " " + words[0]
	}
	if v, err := strconv.ParseUint(words[len(words)-1], 10, 64); err == nil {
		n[key] = v
		return
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		v, err := strconv.ParseUint(value, 10, 64)
		switch {
		case err != nil: // an average
		case name == "total":
			n[key] = v
		case v != 0:
			n[key+" "+name] = v
		}
	}
}

// Our readers, containerd's and the files have the same numbers, and ours have none
// that containerd makes up for a file that is not there.
func TestSameNumbers(t *testing.T) {
	j := newJob(t)
	limit(t, j)
	start(t, j, `
		f=/var/tmp/oci-test-$$
		dd if=/dev/zero of=$f bs=1M count=16 2>/dev/null
		dd if=/dev/zero of=$f bs=1M count=8 oflag=direct 2>/dev/null
		dd if=$f of=/dev/null bs=1M iflag=direct 2>/dev/null; rm $f
		i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done
		echo ready; exec sleep 1000 >/dev/null`)
	our, their, files := settled(t, j)
	for key, v := range our {
		if _, both := their[key]; !both {
			t.Logf("%s: containerd has none", key) // memory.pressure without the controller
			continue
		}
		if v != files[key] || v != their[key] {
			t.Errorf("%s: ours is %d, containerd's %d, the file's %d", key, v, their[key], files[key])
		}
	}
	for key, v := range their {
		if _, known := our[key]; !known && v != 0 {
			t.Errorf("%s: containerd's is %d, the file's %d, and we have none", key, v, files[key])
		}
	}
	for key := range files {
		_, both := their[key]
		if _, known := our[key]; both && !known {
			t.Errorf("%s: it is there, and we have none", key)
		}
	}
	if inBed {
		busy(t, our)
	}
	t.Logf("compared: %v", our)
}

// limit gives the job less than it will ask for, if there are controllers.
func limit(t *testing.T, j *cgroup.Job) {
	for controller, document := range map[string]string{
		"cpu":    `{"cpu":{"quota":10000,"period":20000}}`,
		"memory": `{"memory":{"limit":33554432,"swap":33554432},"unified":{"memory.high":"4194304"}}`,
	} {
		if !has(t, j, controller) {
			continue
		}
		r, err := Decode(strings.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		limits, err := Limits(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Limit(limits); err != nil {
			t.Fatal(err)
		}
	}
}

// patience is for what is a matter of moments on a machine that is not busy.
const patience = time.Minute

// settled reads in the three ways while nothing changes: the kernel adds up what it
// counts per CPU some time after a job has come to rest, and tells nobody.
func settled(t *testing.T, j *cgroup.Job) (our, their, files numbers) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		files = plain(t, j)
		s, err := j.Stats()
		if err != nil {
			t.Fatal(err)
		}
		m, err := Metrics(j.Path())
		if err != nil {
			t.Fatal(err)
		}
		if maps.Equal(files, plain(t, j)) {
			return ours(s), theirs(m), files
		}
	}
	t.Fatal("the numbers do not come to rest")
	return
}

// busy fails unless what the job did shows: else three zeros would be alike.
func busy(t *testing.T, n numbers) {
	for _, key := range []string{
		"cpu.stat user_usec", "cpu.stat system_usec", "cpu.stat nr_periods", "cpu.stat nr_throttled", "cpu.stat throttled_usec",
		"pids.current", "memory.current", "memory.peak", "memory.stat anon", "memory.events high",
		"cpu.pressure some", "memory.pressure some", "io.pressure some",
	} {
		if n[key] == 0 {
			t.Errorf("%s is 0", key)
		}
	}
	for _, key := range []string{"rbytes", "wbytes", "rios", "wios"} {
		if n["io.stat "+diskUsed(n)+" "+key] == 0 {
			t.Errorf("%s of the disk is 0", key)
		}
	}
}

// diskUsed is the number of the device that was written to most.
func diskUsed(n numbers) (number string) {
	most := uint64(0)
	for key, v := range n {
		if words := strings.Fields(key); len(words) == 3 && words[2] == "wbytes" && v > most {
			number, most = words[1], v
		}
	}
	return number
}
