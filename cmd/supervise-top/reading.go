package main

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/protocol"
)

// A reading is what was read of one job at one moment.
type reading struct {
	protocol.ListedJob
	depth int
	stats *cgroup.Stats      // nil: it is not looked at, or not in a cgroup
	procs []protocol.Process // of the one whose details are shown
}

// readings are those of all jobs.
type readings struct {
	at   time.Time
	jobs []reading
	err  error
}

// A look says what is shown, and hence read as a whole.
type look struct {
	rows    map[string]bool // ids
	details string          // id; "": none
}

// read is the command that reads. There is never another one beside it.
func read(w *jobs.Watch, l look) tea.Cmd {
	return func() tea.Msg {
		list, err := w.Read(func(j *jobs.Job) bool { return l.rows[j.ID] || l.details == j.ID })
		r := readings{at: time.Now(), err: err}
		for _, j := range list {
			one := reading{ListedJob: j.ListedJob, depth: j.Depth}
			if l.rows[j.ID] || l.details == j.ID {
				if node, err := j.Node(); err == nil {
					one.stats, _ = node.Stats() // what cannot be read is not shown
				}
			}
			if l.details == j.ID {
				one.procs, _ = j.Procs()
			}
			r.jobs = append(r.jobs, one)
		}
		return r
	}
}

// A row is a job as it is shown.
type row struct {
	reading
	at           time.Time // of the last reading
	cpu, mem, io series    // processors, bytes, bytes a second
	readBytes    *uint64
	cpuSeconds   *float64
	waits        [3]float64 // parts of the time in which something waited for cpu, memory, io
	stalls       [3]*uint64
}

// update takes a new reading of the row's job.
func (r *row) update(n reading, at time.Time) {
	passed := at.Sub(r.at).Seconds()
	first := r.at.IsZero() || passed <= 0
	if n.CPUS != nil {
		if !first && r.cpuSeconds != nil {
			r.cpu.add(max(0, *n.CPUS-*r.cpuSeconds) / passed)
		}
		r.cpuSeconds = n.CPUS
	}
	if n.Memory != nil {
		r.mem.add(float64(*n.Memory))
	}
	if n.stats == nil {
		r.readBytes, r.stalls = nil, [3]*uint64{}
	} else {
		r.updateStats(n.stats, passed, first)
	}
	r.reading, r.at = n, at
}

func (r *row) updateStats(s *cgroup.Stats, passed float64, first bool) {
	if s.IO != nil {
		total := s.IO.Total.ReadBytes + s.IO.Total.WriteBytes
		if !first && r.readBytes != nil && total >= *r.readBytes {
			r.io.add(float64(total-*r.readBytes) / passed)
		}
		r.readBytes = &total
	}
	for i, p := range []*cgroup.Pressure{s.CPUPressure, s.MemoryPressure, s.IOPressure} {
		var now *uint64
		if p != nil {
			now = p.Some
		}
		r.waits[i] = 0
		if was := r.stalls[i]; !first && now != nil && was != nil && *now > *was {
			r.waits[i] = min(1, float64(*now-*was)/1e6/passed)
		}
		r.stalls[i] = now
	}
}
