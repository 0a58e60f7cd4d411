// Package record turns the kernel's counters into the fields of a record, and a record
// into a summary for people. The front ends run and serve use it, and the containment
// fills in its part of the record with it.
//
// A counter is a pointer all the way: nil is one that this kernel lacks, whose controller
// the cgroup lacks, or that could not be read, and becomes null. A 0 was measured.
package record

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// SetResources puts the counters of a job's cgroup into its record; nil: nothing is
// known, and the record keeps its nulls.
func SetResources(r *protocol.Record, s *cgroup.Stats) {
	if s == nil {
		return
	}
	// Each part is there by itself: without the memory controller the cgroup still has
	// cpu.stat.
	if s.CPU != nil {
		r.CPU = cpuOf(s.CPU)
	}
	if m := s.Memory; m != nil {
		r.Memory.PeakBytes, r.Memory.SwapPeakBytes = m.Peak, m.SwapPeak
		r.Memory.Events, r.Memory.EventsLocal = MemoryEvents(m.Events), MemoryEvents(m.EventsLocal)
	}
	if s.IO != nil {
		r.IO = ioOf(s.IO)
	}
	if p := s.Pids; p != nil {
		r.Pids = protocol.Pids{Peak: p.Peak, MaxHits: p.MaxEvents}
	}
	r.Pressure = protocol.Pressure{CPU: stall(s.CPUPressure), Memory: stall(s.MemoryPressure), IO: stall(s.IOPressure)}
}

// cpuOf is cpu.stat in seconds; the kernel counts in microseconds. Periods are those of
// cpu.max, and missing without the cpu controller.
func cpuOf(c *cgroup.CPUStat) protocol.CPU {
	return protocol.CPU{
		UserS: seconds64(c.User), SystemS: seconds64(c.System), TotalS: seconds64(c.Usage),
		Periods: c.Periods, ThrottledPeriods: c.Throttled, ThrottledS: seconds64(c.ThrottledTime),
	}
}

// MemoryEvents are the counters of memory.events, or of memory.events.local; nil stays
// nil.
func MemoryEvents(e *cgroup.MemoryEvents) *protocol.MemoryEvents {
	if e == nil {
		return nil
	}
	return &protocol.MemoryEvents{
		Low: e.Low, High: e.High, Max: e.Max, OOM: e.OOM, OOMKill: e.OOMKill, OOMGroupKill: e.OOMGroupKill,
	}
}

// ioOf is io.stat: bytes and operations, by device and in total.
func ioOf(s *cgroup.IOStat) protocol.IO {
	t := &s.Total
	// The pointers are into s, which the caller no longer changes.
	io := protocol.IO{
		ReadBytes: &t.ReadBytes, WriteBytes: &t.WriteBytes, ReadOps: &t.ReadOps, WriteOps: &t.WriteOps,
		Devices: make([]protocol.DeviceIO, len(s.Devices)),
	}
	for i, d := range s.Devices {
		io.Devices[i] = protocol.DeviceIO{
			Device:    fmt.Sprintf("%d:%d", d.Major, d.Minor),
			ReadBytes: d.ReadBytes, WriteBytes: d.WriteBytes, ReadOps: d.ReadOps, WriteOps: d.WriteOps,
		}
	}
	return io
}

// stall is a line pair of a pressure file (PSI): the time in which some, or all,
// processes of the job waited. The kernel writes full for cpu since 5.13.
func stall(p *cgroup.Pressure) (s protocol.Stall) {
	if p != nil {
		s.SomeS, s.FullS = seconds64(p.Some), seconds64(p.Full)
	}
	return s
}

// oomBy are the record's words for the causes that package cgroup tells apart.
var oomBy = map[cgroup.OOMCause]string{
	cgroup.OOMOwnLimit: protocol.OOMByJob, cgroup.OOMAncestor: protocol.OOMByAncestor, cgroup.OOMMachine: protocol.OOMByMachine,
	cgroup.OOMOutside: protocol.OOMByOutside, cgroup.OOMDaemon: protocol.OOMByDaemon,
}

// SetOOM says whether a process of the job was killed for want of memory, and whose memory it
// was. The cause becomes oom where SIGKILL ended the main
// process and supervise did not send it: the kernel's OOM killer and systemd-oomd both
// use SIGKILL, and no status tells theirs from others. Where only a cgroup around the job has
// a counter, it is believed if the main process tells of a SIGKILL, and else it is not known.
func SetOOM(r *protocol.Record, o cgroup.OOM) {
	killed := wasKilled(r)
	told := r.Exit != nil && r.Exit.Code != nil && *r.Exit.Code == 128+int(unix.SIGKILL) // a shell, of its command
	if o.Cause == cgroup.OOMUnknown || o.Unsure && !killed && !told {
		return
	}
	some := o.Cause != cgroup.OOMNone
	r.OOMKilled = &some
	if !some {
		return
	}
	// Kills is a count of processes, of which the main process may not be one.
	r.OOM = &protocol.OOM{By: oomBy[o.Cause], Cgroup: Optional(o.Path), Kills: o.Kills}
	// Any other cause says that supervise, or its owner, wanted the end.
	if r.Cause == protocol.CauseSignaled && killed {
		r.Cause = protocol.CauseOOM
	}
}

// wasKilled says whether a SIGKILL ended the main process.
func wasKilled(r *protocol.Record) bool {
	return r.Exit != nil && r.Exit.Signal != nil && *r.Exit.Signal == "SIGKILL"
}

// Limits lists limits for a record, without those that others imply. It is empty rather
// than null where there are none.
func Limits(limits cgroup.Limits) []protocol.Limit {
	list := []protocol.Limit{}
	for _, l := range limits {
		// An implied limit is a part of the one that was asked for, as memory.swap.max
		// may be.
		if !l.Implied {
			list = append(list, protocol.Limit{Name: l.Name(), File: l.File, Value: l.Value})
		}
	}
	return list
}

// seconds64 makes seconds of microseconds; nil stays nil.
func seconds64(us *uint64) *float64 {
	if us == nil {
		return nil
	}
	s := float64(*us) / 1e6
	return &s
}

// Optional returns nil for the empty text, which is null in the record.
func Optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
