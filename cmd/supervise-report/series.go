package main

import (
	"math"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A point is a sample as it is drawn. NaN is what is not known.
type point struct {
	at                          float64    // seconds since the job's start
	cpu, throttled, read, write float64    // totals since then: seconds, bytes
	wait                        [3]float64 // some_s of cpu, memory, io
	current, anon, file         float64    // bytes; anon has what processes share in it, file has not
	pids                        float64
}

// The resources that a job waits for, as they are in point.wait.
var resources = [3]string{"CPU", "memory", "I/O"}

// unknownNumber stands for null.
var unknownNumber = math.NaN()

// known says whether a number is.
func known(f float64) bool { return !math.IsNaN(f) }

// whole is a count that may be null.
func whole(n *uint64) float64 {
	if n == nil {
		return unknownNumber
	}
	return float64(*n)
}

// fraction is a number that may be null.
func fraction(f *float64) float64 {
	if f == nil {
		return unknownNumber
	}
	return *f
}

// stalls are how long some processes waited.
func stalls(p protocol.Pressure) [3]float64 {
	return [3]float64{fraction(p.CPU.SomeS), fraction(p.Memory.SomeS), fraction(p.IO.SomeS)}
}

// pointOf is a sample without what is not drawn. Shared memory is among the file pages of the
// kernel's, and cannot be dropped as they are.
func pointOf(s *protocol.Sample) point {
	p := point{
		at: s.WallS, cpu: fraction(s.CPU.TotalS), throttled: fraction(s.CPU.ThrottledS),
		read: whole(s.IO.ReadBytes), write: whole(s.IO.WriteBytes), wait: stalls(s.Pressure),
		current: whole(s.Memory.CurrentBytes), anon: whole(s.Memory.AnonBytes), file: whole(s.Memory.FileBytes),
		pids: whole(s.Pids),
	}
	if shared := whole(s.Memory.ShmemBytes); known(shared) {
		p.anon, p.file = p.anon+shared, max(0, p.file-shared)
	}
	return p
}

// A span is what a job did between two points: rates.
type span struct {
	from, to    float64
	cpu         float64    // processors in use
	throttled   float64    // part of the time
	read, write float64    // bytes a second
	wait        [3]float64 // part of the time in which something waited
}

// spans are the differences of points, from the job's start on. Where a counter went back there is
// nothing known.
func spans(points []point) (list []span) {
	var last point // all that is counted is 0 at the start
	for _, p := range points {
		if d := p.at - last.at; d > 0 {
			rate := func(now, was float64) float64 {
				if now < was {
					return unknownNumber
				}
				return (now - was) / d
			}
			s := span{from: last.at, to: p.at, cpu: rate(p.cpu, last.cpu), throttled: rate(p.throttled, last.throttled),
				read: rate(p.read, last.read), write: rate(p.write, last.write)}
			for i := range s.wait {
				s.wait[i] = min(1, rate(p.wait[i], last.wait[i]))
			}
			list = append(list, s)
		}
		last = p
	}
	return list
}

// phaseSpans are the phases of a job: all that is known of when it did what, where there are no samples.
func phaseSpans(j *job) (list []span) {
	for _, p := range j.Phases {
		from := p.Started.Sub(j.Started.Time).Seconds()
		if p.WallS <= 0 {
			continue
		}
		s := span{from: max(0, from), to: from + p.WallS, cpu: fraction(p.CPU.TotalS) / p.WallS, throttled: fraction(p.CPU.ThrottledS) / p.WallS,
			read: whole(p.IO.ReadBytes) / p.WallS, write: whole(p.IO.WriteBytes) / p.WallS}
		for i, w := range stalls(p.Pressure) {
			s.wait[i] = min(1, w/p.WallS)
		}
		list = append(list, s)
	}
	return list
}

// mostPoints is how many points of a job are drawn.
const mostPoints = 240

// thin keeps every nth point at most, so that they fit: its totals are true, so that the rates between are means. What it holds
// at a moment is the most of those that it stands for: a peak is not lost.
func thin(points []point, most int) []point {
	n := (len(points) + most - 1) / most
	if n <= 1 {
		return points
	}
	kept := make([]point, 0, most)
	for i := 0; i < len(points); i += n {
		group := points[i:min(i+n, len(points))]
		p := group[len(group)-1]
		for _, q := range group {
			if q.current > p.current || known(q.current) && !known(p.current) {
				p.current, p.anon, p.file = q.current, q.anon, q.file
			}
			if q.pids > p.pids || !known(p.pids) {
				p.pids = q.pids
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// measure finds the moments of a job that matter. It keeps no more points than are drawn.
func (j *job) measure() {
	j.samples = len(j.points)
	for _, p := range j.points {
		if known(p.current) && (j.peak == nil || p.current > j.peak.current) {
			j.peak = &p
		}
		if known(p.anon) && (j.needed == nil || p.anon > j.needed.anon) {
			j.needed = &p
		}
	}
	j.points = thin(j.points, mostPoints)
	for _, s := range j.spans() {
		if known(s.cpu) && (j.busiest == nil || s.cpu > j.busiest.cpu) {
			j.busiest = &s
		}
	}
}

// spans are those of the samples, or else those of the phases.
func (j *job) spans() []span {
	if len(j.points) > 0 {
		return spans(j.points)
	}
	return phaseSpans(j)
}
