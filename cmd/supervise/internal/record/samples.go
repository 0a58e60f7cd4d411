package record

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Samples are readings of a job's cgroup: taken now and then by the loop, and at each
// mark. It belongs to the goroutine of the loop. It owns the sampler, whose files stay
// open from one sample to the next.
type Samples struct {
	Tell func(*protocol.Sample) // is given each sample that Look takes; nil: none is told

	sampler *cgroup.Sampler
	started time.Time
	closed  bool
	fd      int // of WriteTo, the caller's
	dropped int // how many lines had no room

	peak   *protocol.MemoryNow  // the memory at the greatest sample of the job; nil: none was read
	max    protocol.MemorySplit // the greatest of each in the samples
	phases []protocol.Phase
	begun  *protocol.Sample // the reading at the last mark, or at the start
	name   string           // name of the phase that has begun; "" before the first mark
	most   *uint64          // the greatest memory since the phase began; nil: not read yet
	anon   *uint64          // the greatest anonymous memory since then

	marks   int    // the descriptor of ReadMarks; -1: none
	partial []byte // a line that is not complete
}

// New begins to sample a job. The first reading, from which the first phase is counted,
// is taken here. The caller closes the result, or lets Finish do so.
func New(j *cgroup.Job) (*Samples, error) {
	sampler, err := j.Sampler()
	if err != nil {
		return nil, err
	}
	s := &Samples{sampler: sampler, started: time.Now(), marks: -1}
	s.begun = s.Take(s.started)
	return s, nil
}

// WriteTo has each sample of Look written to a descriptor, a JSON line each. The
// descriptor stays the caller's.
func (s *Samples) WriteTo(fd int) { s.fd, s.Tell = fd, s.write }

// SinceStart has the first phase begin at the job's start, when all counters were 0. A
// counter minus itself is 0 where there is one, and null where there is none.
func (s *Samples) SinceStart(started time.Time) {
	b := s.begun
	// Only what was readable at all is set to 0.
	b.CPU, b.IO, b.Pressure = cpuDelta(b.CPU, b.CPU), ioDelta(b.IO, b.IO), pressureDelta(b.Pressure, b.Pressure)
	b.Time.Time, b.WallS, s.started = started, 0, started
}

// Look implements supervisor.Sampler for the containment: it takes a sample and tells it.
func (s *Samples) Look(at time.Time) {
	if p := s.Take(at); s.Tell != nil {
		s.Tell(p)
	}
}

// Take reads a sample, and remembers the greatest memory, for the phase and for the job.
func (s *Samples) Take(at time.Time) *protocol.Sample {
	// A cgroup lacks files by its controllers and its kernel, and the others are worth
	// having.
	raw, _ := s.sampler.Sample() // what cannot be read is null
	p := sampleOf(&raw)
	p.Time.Time, p.WallS = at, at.Sub(s.started).Seconds()
	s.measure(&p.Memory)
	return p
}

// measure remembers the greatest memory. The sample is new each time, so its pointers stay
// true. Without the memory controller all are nil.
func (s *Samples) measure(m *protocol.MemoryNow) {
	if m.CurrentBytes != nil && (s.peak == nil || *m.CurrentBytes > *s.peak.CurrentBytes) {
		s.peak = m
	}
	raise(&s.most, m.CurrentBytes)
	raise(&s.anon, m.AnonBytes)
	raise(&s.max.AnonBytes, m.AnonBytes)
	raise(&s.max.FileBytes, m.FileBytes)
	raise(&s.max.ShmemBytes, m.ShmemBytes)
	raise(&s.max.KernelBytes, m.KernelBytes)
}

// raise keeps the greater of two numbers that may not be known.
func raise(most **uint64, now *uint64) {
	if now != nil && (*most == nil || *now > **most) {
		*most = now
	}
}

// One takes a single sample of a job that started at a moment, for stat. It opens the
// files anew, and closes them.
func One(j *cgroup.Job, started time.Time) (*protocol.Sample, error) {
	sampler, err := j.Sampler()
	if err != nil {
		return nil, err
	}
	// A sampler keeps its files open, which is for jobs with many samples.
	defer sampler.Close()
	return (&Samples{sampler: sampler, started: started}).Take(time.Now()), nil
}

// sampleOf turns the kernel's numbers into those of the protocol: bytes and seconds.
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
		p.Memory.MemorySplit = protocol.MemorySplit{AnonBytes: st.Anon, FileBytes: st.File, ShmemBytes: st.Shmem, KernelBytes: st.Kernel}
	}
	if t := raw.IO; t != nil {
		p.IO = protocol.IO{ReadBytes: &t.ReadBytes, WriteBytes: &t.WriteBytes, ReadOps: &t.ReadOps, WriteOps: &t.WriteOps}
	}
	return p
}

// write writes a line if there is room for it: neither the loop nor the job waits for a
// slow reader. A pipe that poll(2) reports as writable takes PIPE_BUF bytes at once
// (pipe(7)), and a sample is shorter than those 4096.
func (s *Samples) write(p *protocol.Sample) {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	line, err := json.Marshal(p)
	// An error event counts as room: the write then says EPIPE, and the line is dropped,
	// too.
	if n, _ := unix.Poll(fds, 0); n == 0 || err != nil {
		s.dropped++
		return
	}
	if err := WriteAll(s.fd, append(line, '\n')); err != nil {
		s.dropped++
	}
}

// DroppedError says that samples could not be written; nil: all were. It is asked at the
// end, as a message for each would drown the others.
func (s *Samples) DroppedError() error {
	if s.dropped == 0 {
		return nil
	}
	return fmt.Errorf("%d samples could not be written: the reader is too slow, or gone", s.dropped)
}

// Finish takes the marks that are left, ends the last phase, takes the last sample, and
// puts phases and peak into the record. It is called when the job is empty and its cgroup
// is still there; the samples are closed then. A job without marks has no phases.
func (s *Samples) Finish(r *protocol.Record) {
	s.lastMarks()
	// Without a mark the whole job would be one phase, of which the record has all
	// numbers.
	if len(s.phases) > 0 {
		s.endPhase()
	}
	s.Look(time.Now())
	s.Close()
	r.Phases = s.phases
	if s.peak != nil {
		r.Memory.AtPeak, r.Memory.SampledMax = &s.peak.MemorySplit, &s.max
	}
}

// Close gives the descriptors back, once: Finish does it for a job that ended, and the
// owner of the samples for one that was not started.
func (s *Samples) Close() {
	if !s.closed {
		s.closed = true
		s.sampler.Close()
	}
}
