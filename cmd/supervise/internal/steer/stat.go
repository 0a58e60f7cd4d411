package steer

import (
	"fmt"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/internal/text"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/protocol"
)

// statOf reads what a job has used, without its processes. On an error the other fields are
// filled in.
func statOf(j *jobs.Job, version string) (*protocol.Stat, error) {
	s := &protocol.Stat{Schema: protocol.StatSchema, Version: version, Job: j.ListedJob, Limits: []protocol.NowLimit{}}
	node, err := j.Node()
	if err != nil { // by descent: that is all there is
		return s, nil
	}
	stats, err := node.Stats()
	var r protocol.Record
	record.SetResources(&r, stats)
	s.CPU, s.Memory, s.IO, s.Pids, s.Pressure = r.CPU, r.Memory, r.IO, r.Pids, r.Pressure
	if stats != nil && stats.Memory != nil && stats.Memory.Stat != nil {
		m := stats.Memory.Stat
		s.MemoryNow = protocol.MemorySplit{AnonBytes: m.Anon, FileBytes: m.File, ShmemBytes: m.Shmem, KernelBytes: m.Kernel}
	}
	for _, l := range node.Limits() {
		s.Limits = append(s.Limits, protocol.NowLimit{File: l.File, Value: l.Value})
	}
	return s, err
}

// statText is the same for people, a few aligned lines, then the processes.
func statText(s *protocol.Stat) string {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", key+":", printable(format, args...))
	}
	j := &s.Job
	line("job", "%s", j.ID)
	line("name", "%s", j.Name)
	line("state", "%s", j.State)
	line("containment", "%s", by(j))
	line("user", "%d", j.UID)
	if j.Started != nil {
		line("started", "%s, %s ago", j.Started.Local().Format("2006-01-02 15:04:05"), text.Age(j))
	}
	if j.Supervisor != nil {
		line("supervisor", "%d", *j.Supervisor)
	}
	if j.Owner != nil {
		line("owner", "%d %s", j.Owner.PID, j.Owner.Comm)
	}
	if j.Outer != nil {
		line("in job", "%s", *j.Outer)
	}
	line("cpu", "%s", cpu(s))
	if j.Memory != nil {
		line("memory", "%s", memory(s))
	}
	if s.IO.ReadBytes != nil && s.IO.WriteBytes != nil {
		line("io", "%s read, %s written", text.Bytes(s.IO.ReadBytes), text.Bytes(s.IO.WriteBytes))
	}
	if p := pressure(s); p != "" {
		line("waited", "%s", p)
	}
	for _, l := range s.Limits {
		line("limit", "%s %s", l.File, l.Value)
	}
	b.WriteString(procTable(s))
	return b.String()
}

func by(j *protocol.ListedJob) string {
	if j.Cgroup != nil {
		return "cgroup " + *j.Cgroup
	}
	return string(j.Containment)
}

func cpu(s *protocol.Stat) string {
	line := text.Seconds(s.Job.CPUS)
	if s.CPU.UserS != nil && s.CPU.SystemS != nil {
		line = fmt.Sprintf("user %s, system %s", text.Seconds(s.CPU.UserS), text.Seconds(s.CPU.SystemS))
	}
	if t := s.CPU.ThrottledS; t != nil && *t > 0 {
		line += fmt.Sprintf(", throttled for %s", text.Seconds(t))
	}
	return line
}

func memory(s *protocol.Stat) string {
	line := text.Bytes(s.Job.Memory)
	if s.Job.MemoryMax != nil {
		line += " of " + text.Bytes(s.Job.MemoryMax)
	}
	var parts []string
	for _, part := range []struct {
		name string
		size *uint64
	}{{"anon", s.MemoryNow.AnonBytes}, {"file", s.MemoryNow.FileBytes}, {"at most so far", s.Memory.PeakBytes}} {
		if part.size != nil {
			parts = append(parts, part.name+" "+text.Bytes(part.size))
		}
	}
	if parts != nil {
		line += " (" + strings.Join(parts, ", ") + ")"
	}
	return line
}

// pressure is how long some processes of the job waited for a resource so far.
func pressure(s *protocol.Stat) string {
	var parts []string
	for _, p := range []struct {
		name  string
		stall protocol.Stall
	}{{"cpu", s.Pressure.CPU}, {"memory", s.Pressure.Memory}, {"io", s.Pressure.IO}} {
		if p.stall.SomeS != nil {
			parts = append(parts, fmt.Sprintf("%s for %s", text.Seconds(p.stall.SomeS), p.name))
		}
	}
	return strings.Join(parts, ", ")
}
