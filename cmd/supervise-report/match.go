package main

import (
	"cmp"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A series is the samples of one job.
type series struct {
	place   place
	started time.Time // of the job, as each sample has it
	points  []point
	taken   bool // a job has them
}

// apart is how far the start that samples have may be from that of their record.
const apart = time.Second

// A seriesKey is where samples of one job are: in a file, of a number that a server gave, of one start.
type seriesKey struct {
	file   string
	job    int
	second int64 // of the start
}

// seriesFor is the series that a sample goes on, or a new one: samples of a job are in one file,
// and their time does not go back.
func (in *input) seriesFor(at place, s *sample) *series {
	key := seriesKey{at.file, at.job, s.started.Unix()}
	for _, second := range []int64{0, -1, 1} { // apart
		near := key
		near.second += second
		for _, old := range slices.Backward(in.starts[near]) {
			if old.points[len(old.points)-1].at <= s.at && old.started.Sub(s.started).Abs() < apart {
				return old
			}
		}
	}
	if in.starts == nil {
		in.starts = map[seriesKey][]*series{}
	}
	made := &series{place: at, started: s.started}
	in.series, in.starts[key] = append(in.series, made), append(in.starts[key], made)
	return made
}

// match gives each job its samples. They do not say whose they are, but when their job started:
// they are those of the record that started then, within a second. Among several it is the one
// whose file has the same name but for the suffix, then the nearest in time. A server's messages
// have the number of the job. A job of samples alone is added where there is no such record.
func (in *input) match() {
	slices.SortStableFunc(in.jobs, byStart)
	for rest := in.series; ; {
		left := pairUp(in.jobs, rest)
		if len(left) == len(rest) {
			break
		}
		rest = left
	}
	for _, s := range in.series {
		if !s.taken {
			in.jobs = append(in.jobs, s.alone())
		}
	}
	in.series, in.starts = nil, nil
	for _, j := range in.jobs {
		j.measure()
	}
	nest(in.jobs)
	slices.SortStableFunc(in.jobs, byStart)
}

// A pair is a job and samples that may be its.
type pair struct {
	j        *job
	s        *series
	distance float64
}

// pairUp gives jobs their samples, the pairs that belong together most first, and returns the series that are left. It considers
// a few jobs for each: of thousands that started at once each may be that of each.
func pairUp(jobs []*job, list []*series) (left []*series) {
	var pairs []pair
	for _, s := range list {
		pairs = append(pairs, nearest(jobs, s)...)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.distance, b.distance) })
	for _, p := range pairs {
		if !p.s.taken && p.j.points == nil {
			p.j.points, p.s.taken = p.s.points, true
		}
	}
	for _, s := range list {
		if !s.taken {
			left = append(left, s)
		}
	}
	return left
}

// mostPairs is how many jobs are considered for a series at once.
const mostPairs = 16

// nearest are the jobs without samples to which a series belongs most.
func nearest(jobs []*job, s *series) (pairs []pair) {
	first, _ := slices.BinarySearchFunc(jobs, s.started.Add(-apart), func(j *job, t time.Time) int { return j.Started.Compare(t) })
	for _, j := range jobs[first:] {
		if j.Started.After(s.started.Add(apart)) {
			break
		}
		if j.points != nil || s.points[len(s.points)-1].at > j.WallS+apart.Seconds() {
			continue
		}
		d := distance(j, s)
		if math.IsInf(d, 1) || len(pairs) == mostPairs && d >= pairs[mostPairs-1].distance {
			continue
		}
		i := len(pairs)
		for i > 0 && pairs[i-1].distance > d {
			i--
		}
		pairs = slices.Insert(pairs, i, pair{j, s, d})
		pairs = pairs[:min(len(pairs), mostPairs)]
	}
	return pairs
}

// distance is how far samples are from a record: in seconds, and less than 0 where more than the
// time says that they belong together. It is infinite where they cannot.
func distance(j *job, s *series) float64 {
	d := j.Started.Sub(s.started).Abs().Seconds()
	if s.place.job != 0 || j.place.job != 0 {
		if s.place.job != j.place.job || s.place.file != j.place.file {
			return math.Inf(1)
		}
		return d - 2
	}
	switch record, samples := stem(j.place.file), stem(s.place.file); {
	case record == samples:
		return d - 3
	case strings.HasPrefix(samples, record+"."), strings.HasPrefix(record, samples+"."): // b.json, b.samples.jsonl
		return d - 1
	}
	return d
}

// stem is a file's name without its directory and its last suffix: what stands before that may have dots, as
// 4242.0.17.json.
func stem(file string) string {
	name := filepath.Base(file)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// alone is the job of samples that have no record: its totals are those of the last one.
func (s *series) alone() *job {
	last := s.points[len(s.points)-1]
	r := &protocol.Record{
		Started: protocol.Time{Time: s.started}, Ended: protocol.Time{Time: s.started.Add(seconds(last.at))}, WallS: last.at,
		CPU: protocol.CPU{TotalS: number64(last.cpu), ThrottledS: number64(last.throttled)},
		Pressure: protocol.Pressure{
			CPU: protocol.Stall{SomeS: number64(last.wait[0])}, Memory: protocol.Stall{SomeS: number64(last.wait[1])}, IO: protocol.Stall{SomeS: number64(last.wait[2])},
		},
	}
	if known(last.read) && known(last.write) {
		read, write := uint64(last.read), uint64(last.write)
		r.IO.ReadBytes, r.IO.WriteBytes = &read, &write
	}
	return &job{Record: r, place: s.place, label: printable(stem(s.place.file)), points: s.points, alone: true}
}

// number64 is a number for a record; nil: it is not known.
func number64(f float64) *float64 {
	if !known(f) {
		return nil
	}
	return &f
}

// nest finds out which jobs ran in which: the cgroup of one is below that of the other, which ran
// when it started.
func nest(jobs []*job) {
	at := map[string][]*job{}
	for _, j := range jobs {
		if j.Cgroup != nil && *j.Cgroup != "" {
			at[*j.Cgroup] = append(at[*j.Cgroup], j)
		}
	}
	for _, j := range jobs {
		if j.Cgroup != nil {
			j.parent = outer(j, at)
		}
		if j.parent != nil {
			j.parent.holds = true
		}
	}
	for _, j := range jobs {
		for p := j.parent; p != nil && j.depth < len(jobs); p = p.parent {
			j.depth++
		}
	}
}

// outer is the nearest job around one; nil: there is none.
func outer(j *job, at map[string][]*job) *job {
	dir := path.Clean(*j.Cgroup)
	for range 64 { // levels
		dir = path.Dir(dir)
		if dir == "/" || dir == "." {
			break
		}
		for _, p := range at[dir] {
			if p != j && !p.Started.After(j.Started.Time) && !p.end().Before(j.Started.Time) {
				return p
			}
		}
	}
	return nil
}
