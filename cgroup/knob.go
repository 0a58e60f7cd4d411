package cgroup

import (
	"fmt"
	"slices"
	"strings"
)

// A knob is a limit by its names: of a flag, and of a property of
// systemd.resource-control(5).
type knob struct {
	flag    string
	systemd string // "" if that has none
	file    string // "" if the value says which
	parse   func(value string) (string, error)
}

// knobs is the one table of limits. One that is written in different ways under its
// two names has two lines.
var knobs = []knob{
	{"memory-max", "MemoryMax", "memory.max", bytesFrom(pageSize)},
	{"memory-high", "MemoryHigh", "memory.high", bytesFrom(pageSize)},
	{"memory-low", "MemoryLow", "memory.low", bytesFrom(0)},
	{"memory-min", "MemoryMin", "memory.min", bytesFrom(0)},
	{"swap-max", "MemorySwapMax", "memory.swap.max", bytesFrom(0)},
	{"oom-group", "", "memory.oom.group", yesNo},
	{"cpus", "", "cpu.max", cpus},
	{"", "CPUQuota", "cpu.max", cpuQuota},
	{"cpu-weight", "CPUWeight", "cpu.weight", cpuWeight},
	{"cpuset", "AllowedCPUs", "cpuset.cpus", cpuList},
	{"cpuset-mems", "AllowedMemoryNodes", "cpuset.mems", cpuList},
	{"pids-max", "TasksMax", "pids.max", tasks},
	{"io-weight", "IOWeight", "io.weight", weight},
	{"io-max", "", "io.max", ioMax},
	{"", "IOReadBandwidthMax", "io.max", ioKey("rbps")},
	{"", "IOWriteBandwidthMax", "io.max", ioKey("wbps")},
	{"", "IOReadIOPSMax", "io.max", ioKey("riops")},
	{"", "IOWriteIOPSMax", "io.max", ioKey("wiops")},
}

// isProperty says whether a name is that of a property of systemd.
func isProperty(name string) bool {
	return slices.ContainsFunc(knobs, func(k knob) bool { return name == k.systemd && name != "" })
}

// setFlag is the name of the knob for any other file.
const setFlag = "set"

// LimitNames returns the names that ParseLimit knows, as flags (without dashes) or
// as properties of systemd.
func LimitNames() (flags, properties []string) {
	for _, k := range knobs {
		if k.flag != "" {
			flags = append(flags, k.flag)
		}
		if k.systemd != "" {
			properties = append(properties, k.systemd)
		}
	}
	return append(flags, setFlag), properties
}

// ParseLimit reads a limit by either of its names, "memory-max" or "MemoryMax". "set" takes
// FILE=VALUE, for a file that has no name here.
//
// Sizes are bytes, with K, M, G or T by powers of 1024 (of 1000 for systemd's
// IO...Max properties, as systemd has it; KiB is always 1024), or a percentage of the
// machine's memory; "max" or "infinity" is no limit. Cpus is a number of CPUs, CPUQuota
// a percentage of one. A device is MAJ:MIN, or the path of a block device or of a
// file on one.
//
// The error is one line that says what was wanted, or an *UnknownLimitError. The kernel takes
// an io weight without an error even if no cost model is set up (io.cost.qos), and then the
// weight has no effect.
func ParseLimit(name, value string) (Limits, error) {
	if name == setFlag {
		return parseSet(value)
	}
	for _, k := range knobs {
		if name != k.flag && name != k.systemd || name == "" {
			continue
		}
		return k.limits(Limit{Flag: name, Given: value, File: k.file})
	}
	return nil, &UnknownLimitError{name}
}

// An UnknownLimitError says that ParseLimit does not know a name.
type UnknownLimitError struct{ Name string }

func (e *UnknownLimitError) Error() string { return fmt.Sprintf("there is no limit %q", e.Name) }

// limits fills in the value for the kernel, and the controller that takes it.
func (k knob) limits(one Limit) (Limits, error) {
	v, err := k.parse(one.Given)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", one, err)
	}
	one.Value = v
	if one.File == "cpu.weight" && v == idle {
		one.File, one.Value = "cpu.idle", "1"
	}
	one.Controller = controllerOf(one.File)
	return Limits{one}, nil
}

// controllerOf returns the part before the first dot: the controller, or "" for the
// cgroup.* files, which every cgroup has.
func controllerOf(file string) string {
	c, _, _ := strings.Cut(file, ".")
	if c == "cgroup" {
		return ""
	}
	return c
}

// parseSet reads FILE=VALUE. The files by which we hold a job are ours.
func parseSet(v string) (Limits, error) {
	one := Limit{Flag: setFlag, Given: v}
	file, value, ok := strings.Cut(v, "=")
	controller, rest, dotted := strings.Cut(file, ".")
	switch {
	case !ok || !dotted || controller == "" || rest == "" || strings.ContainsAny(file, "/\n\x00 "):
		return nil, fmt.Errorf("%s: want FILE=VALUE, such as memory.zswap.max=0", one)
	case controller == "cgroup" && !strings.HasPrefix(rest, "max.") && rest != "pressure":
		return nil, fmt.Errorf("%s: want the file of a controller, cgroup.max.* or cgroup.pressure", one)
	case value == "" || strings.ContainsRune(value, 0):
		return nil, fmt.Errorf("%s: want a value", one)
	}
	one.Controller, one.File, one.Value = controllerOf(file), file, value
	return Limits{one}, nil
}
