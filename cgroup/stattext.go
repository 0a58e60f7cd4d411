package cgroup

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// The parsers in this file read text of the kernel. Nil is a file that is not there,
// and gives nil; a key that is not there, or whose value is no number, is nil.

// parseNumber reads a file of one value; "max" is none.
func parseNumber(b []byte) *uint64 {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// number returns the value of a key of a flat-keyed file.
func number(b []byte, key string) *uint64 {
	n, ok := lookup(b, key)
	if !ok {
		return nil
	}
	return &n
}

func parseCPUStat(b []byte) *CPUStat {
	if b == nil {
		return nil
	}
	return &CPUStat{
		Usage:         number(b, "usage_usec"),
		User:          number(b, "user_usec"),
		System:        number(b, "system_usec"),
		Periods:       number(b, "nr_periods"),
		Throttled:     number(b, "nr_throttled"),
		ThrottledTime: number(b, "throttled_usec"),
	}
}

func parseMemoryStat(b []byte) *MemoryStat {
	if b == nil {
		return nil
	}
	return &MemoryStat{Anon: number(b, "anon"), File: number(b, "file"), Shmem: number(b, "shmem"), Kernel: number(b, "kernel")}
}

func parseMemoryEvents(b []byte) *MemoryEvents {
	if b == nil {
		return nil
	}
	return &MemoryEvents{
		Low:          number(b, "low"),
		High:         number(b, "high"),
		Max:          number(b, "max"),
		OOM:          number(b, "oom"),
		OOMKill:      number(b, "oom_kill"),
		OOMGroupKill: number(b, "oom_group_kill"),
	}
}

// parsePressure reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the
// same of "full".
func parsePressure(b []byte) *Pressure {
	if b == nil {
		return nil
	}
	p := &Pressure{}
	for line := range bytes.Lines(b) {
		kind, rest, _ := bytes.Cut(line, []byte(" "))
		_, total, ok := bytes.Cut(rest, []byte("total="))
		if !ok {
			continue
		}
		switch string(kind) {
		case "some":
			p.Some = parseNumber(total)
		case "full":
			p.Full = parseNumber(total)
		}
	}
	return p
}

// parseIOStat reads lines of "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6",
// among which other keys may be (io.cost's, io.latency's). Kernels have left out the
// end of a line without numbers ("7:0 8:0 rbytes=..."; cilium, runc and others met
// it), so that a device is wherever its number stands.
func parseIOStat(b []byte, stacked func(device) bool) *IOStat {
	if b == nil {
		return nil
	}
	s := &IOStat{}
	var last *DeviceIO
	var d device
	var known bool
	for word := range bytes.FieldsSeq(b) {
		key, value, isPair := bytes.Cut(word, []byte("="))
		if !isPair {
			last = nil
			d, known = parseDevice(string(word))
			continue
		}
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil || !known {
			continue
		}
		if last == nil {
			s.Devices = append(s.Devices, DeviceIO{Major: d.major, Minor: d.minor, Stacked: stacked(d)})
			last = &s.Devices[len(s.Devices)-1]
		}
		last.set(key, n)
	}
	for i := range s.Devices {
		if !s.Devices[i].Stacked {
			s.Total.add(&s.Devices[i].IOCounters)
		}
	}
	return s
}

func (c *IOCounters) set(key []byte, n uint64) {
	switch string(key) {
	case "rbytes":
		c.ReadBytes = n
	case "wbytes":
		c.WriteBytes = n
	case "rios":
		c.ReadOps = n
	case "wios":
		c.WriteOps = n
	case "dbytes":
		c.DiscardBytes = n
	case "dios":
		c.DiscardOps = n
	}
}

func (c *IOCounters) add(d *IOCounters) {
	c.ReadBytes += d.ReadBytes
	c.WriteBytes += d.WriteBytes
	c.ReadOps += d.ReadOps
	c.WriteOps += d.WriteOps
	c.DiscardBytes += d.DiscardBytes
	c.DiscardOps += d.DiscardOps
}

// isStacked says whether a device keeps its blocks on others: sysfs has them below
// "slaves", or the file of a loop device. Without sysfs it is taken for a disk.
func isStacked(d device) bool {
	if exists(d.sysfs("loop/backing_file")) {
		return true
	}
	fd, err := unix.Open(d.sysfs("slaves"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.ReadDirent(fd, buf[:])
	_, count, _ := unix.ParseDirent(buf[:max(n, 0)], 1, nil) // which leaves out . and ..
	return err == nil && count > 0
}
