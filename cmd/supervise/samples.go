package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Samples are taken of a job now and then, and at each mark.
type samples struct {
	sampler *cgroup.Sampler
	started time.Time
	tell    func(*protocol.Sample) // nil: nobody wants them
	fd      int                    // where the lines go; -1: nowhere
	dropped int                    // lines for which there was no room

	peak   *protocol.MemoryNow
	phases []protocol.Phase
	begun  *protocol.Sample // at the last mark, or the start
	name   string
	most   *uint64 // memory since then

	marks   int // a descriptor; -1: none
	partial []byte
}

// maxPhases and maxMark bound what marks may cost.
const maxPhases, maxMark = 1000, 1000

// markRead is how much is read of marks at once.
const markRead = 4096

// startSamples begins to sample the job of a hold; nil if nobody wants it, or there is
// no cgroup to sample.
func (h *hold) startSamples(o *runOptions) error {
	if h.job == nil || o.sampleEvery == 0 && o.marks < 0 {
		return nil
	}
	s, err := newSamples(h.job)
	if err != nil {
		return err
	}
	s.fd, s.marks = o.samplesFD, o.marks
	if h.samples = s; s.fd >= 0 {
		s.tell = s.write
	}
	return nil
}

func newSamples(j *cgroup.Job) (*samples, error) {
	sampler, err := j.Sampler()
	if err != nil {
		return nil, err
	}
	s := &samples{sampler: sampler, started: time.Now(), fd: -1, marks: -1}
	s.begun = s.take(s.started)
	return s, nil
}

// openSamples opens where samples go; -1: nowhere.
func openSamples(target string) (int, error) {
	switch {
	case target == "":
		return -1, nil
	case target == "-":
		return 1, nil
	case strings.HasPrefix(target, "fd:"):
		return parseFD(target)
	}
	return unix.Open(target, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o666)
}

// marksReader reads marks; where there is nothing to measure they are read all the
// same, for whoever writes them not to wait.
func (h *hold) marksReader(fd int) func() bool {
	if h.samples != nil {
		return h.samples.readMarks
	}
	return func() bool {
		var buf [4096]byte
		n, err := unix.Read(fd, buf[:])
		return n > 0 || err == unix.EINTR || err == unix.EAGAIN
	}
}

// Sample implements supervisor.Sampler.
func (h *hold) Sample(at time.Time) {
	if h.samples != nil {
		h.samples.look(at)
	}
}

// sinceStart has the first phase begin at the job's start, when all was 0.
func (s *samples) sinceStart(started time.Time) {
	b := s.begun
	b.CPU, b.IO, b.Pressure = cpuDelta(b.CPU, b.CPU), ioDelta(b.IO, b.IO), pressureDelta(b.Pressure, b.Pressure)
	b.Time.Time, b.WallS, s.started = started, 0, started
}

// look takes a sample and tells it.
func (s *samples) look(at time.Time) {
	if p := s.take(at); s.tell != nil {
		s.tell(p)
	}
}

// take reads a sample, and remembers the greatest.
func (s *samples) take(at time.Time) *protocol.Sample {
	raw, _ := s.sampler.Sample() // what cannot be read is null
	p := sampleOf(&raw)
	p.Time.Time, p.WallS = at, at.Sub(s.started).Seconds()
	if m := p.Memory.CurrentBytes; m != nil {
		if s.most == nil || *m > *s.most {
			s.most = m
		}
		if s.peak == nil || *m > *s.peak.CurrentBytes {
			s.peak = &p.Memory
		}
	}
	return p
}

func sampleOf(raw *cgroup.Sample) *protocol.Sample {
	p := &protocol.Sample{
		Memory:   protocol.MemoryNow{CurrentBytes: raw.Memory},
		Pids:     raw.Pids,
		Pressure: protocol.Pressure{CPU: stall(raw.CPUPressure), Memory: stall(raw.MemoryPressure), IO: stall(raw.IOPressure)},
	}
	if raw.CPU != nil {
		p.CPU = cpuOf(raw.CPU)
	}
	if st := raw.Stat; st != nil {
		p.Memory.MemorySplit = protocol.MemorySplit{AnonBytes: st.Anon, FileBytes: st.File, KernelBytes: st.Kernel}
	}
	if t := raw.IO; t != nil {
		p.IO = protocol.IO{ReadBytes: &t.ReadBytes, WriteBytes: &t.WriteBytes, ReadOps: &t.ReadOps, WriteOps: &t.WriteOps}
	}
	return p
}

// write writes a line, if there is room: nobody waits for who reads slowly.
func (s *samples) write(p *protocol.Sample) {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	line, err := json.Marshal(p)
	if n, _ := unix.Poll(fds, 0); n == 0 || err != nil {
		s.dropped++
		return
	}
	if err := writeAll(s.fd, append(line, '\n')); err != nil {
		s.dropped++
	}
}

// readMarks takes lines from the descriptor of the marks; false at its end, and the job's.
func (s *samples) readMarks() bool {
	if s.marks < 0 {
		return false
	}
	var buf [markRead]byte
	n, err := unix.Read(s.marks, buf[:])
	if err == unix.EINTR || err == unix.EAGAIN {
		return true
	}
	s.partial = append(s.partial, buf[:max(n, 0)]...)
	for {
		line, rest, ok := bytes.Cut(s.partial, []byte("\n"))
		if !ok && len(s.partial) < maxMark {
			return n > 0
		}
		s.partial = append([]byte{}, rest...)
		s.mark(string(line[:min(len(line), maxMark)]))
	}
}

// mark ends a phase and begins another.
func (s *samples) mark(name string) {
	if len(s.phases) >= maxPhases {
		return
	}
	s.endPhase()
	s.name = name
}

// endPhase notes what happened since the last mark.
func (s *samples) endPhase() {
	now, was := s.take(time.Now()), s.begun
	s.phases = append(s.phases, protocol.Phase{
		Name: s.name, Started: was.Time, WallS: now.WallS - was.WallS,
		CPU: cpuDelta(now.CPU, was.CPU), IO: ioDelta(now.IO, was.IO), Pressure: pressureDelta(now.Pressure, was.Pressure),
		MaxMemory: s.most,
	})
	s.begun, s.most = now, now.Memory.CurrentBytes
}

// lastMarks takes the marks that are there: the job's own are, when it has ended, but
// we may have seen that first. Who else writes cannot keep us: no pipe holds more. The
// loop, which may know of them too, finds nothing to wait for.
func (s *samples) lastMarks() {
	for range 1 << 20 / markRead {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(s.marks), Events: unix.POLLIN}}, 0)
		if n <= 0 || !s.readMarks() {
			break
		}
	}
	s.marks = -1
}

// close ends the last phase, and the reading.
func (s *samples) close() {
	s.lastMarks()
	if len(s.phases) > 0 {
		s.endPhase()
	}
	s.look(time.Now())
	s.sampler.Close()
}

// fill puts what was seen into the record.
func (s *samples) fill(r *protocol.Record) {
	r.Phases = s.phases
	if s.peak != nil {
		r.Memory.AtPeak = &s.peak.MemorySplit
	}
	if s.dropped > 0 {
		complain(fmt.Errorf("%d samples could not be written: the reader is too slow, or gone", s.dropped))
	}
}

func cpuDelta(now, was protocol.CPU) protocol.CPU {
	return protocol.CPU{
		UserS: minus(now.UserS, was.UserS), SystemS: minus(now.SystemS, was.SystemS), TotalS: minus(now.TotalS, was.TotalS),
		Periods: minus(now.Periods, was.Periods), ThrottledPeriods: minus(now.ThrottledPeriods, was.ThrottledPeriods),
		ThrottledS: minus(now.ThrottledS, was.ThrottledS),
	}
}

func ioDelta(now, was protocol.IO) protocol.IO {
	return protocol.IO{
		ReadBytes: minus(now.ReadBytes, was.ReadBytes), WriteBytes: minus(now.WriteBytes, was.WriteBytes),
		ReadOps: minus(now.ReadOps, was.ReadOps), WriteOps: minus(now.WriteOps, was.WriteOps),
	}
}

func pressureDelta(now, was protocol.Pressure) protocol.Pressure {
	delta := func(a, b protocol.Stall) protocol.Stall {
		return protocol.Stall{SomeS: minus(a.SomeS, b.SomeS), FullS: minus(a.FullS, b.FullS)}
	}
	return protocol.Pressure{CPU: delta(now.CPU, was.CPU), Memory: delta(now.Memory, was.Memory), IO: delta(now.IO, was.IO)}
}

// minus is unknown if either is. What is counted in microseconds stays so.
func minus[N uint64 | float64](a, b *N) *N {
	if a == nil || b == nil {
		return nil
	}
	d := N(math.Round(float64(*a-*b)*1e6) / 1e6)
	return &d
}
