package main

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

func cpuOf(r *supervisor.Result) (c protocol.CPU) {
	if r.UserUS != nil && r.SysUS != nil {
		c.UserS, c.SystemS = seconds64(*r.UserUS), seconds64(*r.SysUS)
	}
	return c
}

// seconds64 makes seconds of microseconds.
func seconds64(us uint64) *float64 {
	s := float64(us) / 1e6
	return &s
}

// reapedCPU is the time of all processes that were waited for, by us or by those
// we waited for.
func reapedCPU() (c protocol.CPU) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &u) == nil {
		c.UserS, c.SystemS = seconds64(uint64(u.Utime.Nano()/1e3)), seconds64(uint64(u.Stime.Nano()/1e3))
		c.TotalS = seconds64(uint64((u.Utime.Nano() + u.Stime.Nano()) / 1e3))
	}
	return c
}

// mainUsage is what the kernel told when the main process was waited for.
func mainUsage(u *unix.Rusage) protocol.Main {
	count := func(n int64) *uint64 { c := uint64(n); return &c }
	return protocol.Main{
		MaxRSSBytes: count(u.Maxrss * 1024), // it is in KiB
		MinorFaults: count(u.Minflt), MajorFaults: count(u.Majflt),
		VoluntarySwitches: count(u.Nvcsw), InvoluntarySwitches: count(u.Nivcsw),
	}
}
