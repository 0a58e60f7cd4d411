package record

import (
	"bytes"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// MaxPhases and MaxMark bound what marks may cost: the number of phases of a job, and the
// bytes of the name of one.
const MaxPhases, MaxMark = 1000, 1000

// markRead is how many bytes of marks are read at once, dropRead how many where they begin no
// phase. Each mark takes a look at the counters: a flood of them must not put off a time limit.
const markRead, dropRead = 64, 4096

// ReadMarksFrom names the descriptor of which ReadMarks reads; it stays the caller's. The
// descriptor may block: ReadMarks is called only when poll(2) reports it as readable.
func (s *Samples) ReadMarksFrom(fd int) { s.marks = fd }

// ReadMarks takes lines from the descriptor of the marks, each the name of the phase that
// begins now; false at its end, and at the job's. A line of MaxMark bytes or more is cut,
// so that a writer without newlines costs no memory.
func (s *Samples) ReadMarks() bool {
	switch {
	case s.marks < 0:
		return false
	case s.isFull():
		return DropMarks(s.marks)
	}
	var buf [markRead]byte
	n, err := unix.Read(s.marks, buf[:])
	// Another reader of the same pipe may have taken what poll(2) reported.
	if err == unix.EINTR || err == unix.EAGAIN {
		return true
	}
	s.partial = append(s.partial, buf[:max(n, 0)]...)
	for {
		line, rest, ok := bytes.Cut(s.partial, []byte("\n"))
		if !ok && len(s.partial) < MaxMark {
			return n > 0
		}
		// A copy, so that the array does not grow with all that was ever read.
		s.partial = append([]byte{}, rest...)
		s.Mark(string(line[:min(len(line), MaxMark)]))
	}
}

// DropMarks reads marks where there is no cgroup to measure in, or no more phase is begun, so
// that their writer does not wait for room in the pipe; false at the end.
func DropMarks(fd int) bool {
	var buf [dropRead]byte
	n, err := unix.Read(fd, buf[:])
	return n > 0 || err == unix.EINTR || err == unix.EAGAIN
}

// Mark ends a phase, which it returns, and begins another with that name; nil: there are
// MaxPhases already. The pointer holds until the next call.
func (s *Samples) Mark(name string) *protocol.Phase {
	// The phase that has begun goes on, to the end of the job at most.
	if s.isFull() {
		return nil
	}
	s.endPhase()
	s.name = name
	return &s.phases[len(s.phases)-1]
}

func (s *Samples) isFull() bool { return len(s.phases) >= MaxPhases }

// endPhase notes what happened since the last mark. The counters of a cgroup only grow,
// so a phase is a difference of two readings; its memory is the greatest of the readings
// in it, as the kernel's own peak is that of the whole job.
func (s *Samples) endPhase() {
	now, was := s.Take(time.Now()), s.begun
	s.phases = append(s.phases, protocol.Phase{
		Name: s.name, Started: was.Time, WallS: now.WallS - was.WallS,
		CPU: cpuDelta(now.CPU, was.CPU), IO: ioDelta(now.IO, was.IO), Pressure: pressureDelta(now.Pressure, was.Pressure),
		MaxMemory: s.most, MaxAnon: s.anon,
	})
	// One reading ends a phase and begins the next, so that nothing falls in between.
	s.begun, s.most, s.anon = now, now.Memory.CurrentBytes, now.Memory.AnonBytes
}

// lastMarks takes the marks that are there when the job has ended: the loop may have seen
// the end first. It reads 1 MiB at most, which is the most that a pipe holds by default
// (/proc/sys/fs/pipe-max-size), so another writer cannot keep it busy. When the loop asks
// later, it finds nothing to wait for.
func (s *Samples) lastMarks() {
	for range 1 << 20 / markRead {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(s.marks), Events: unix.POLLIN}}, 0)
		if n <= 0 || s.isFull() || !s.ReadMarks() {
			break
		}
	}
	s.marks = -1
}

// cpuDelta is the processor time of a phase.
func cpuDelta(now, was protocol.CPU) protocol.CPU {
	return protocol.CPU{
		UserS: minus(now.UserS, was.UserS), SystemS: minus(now.SystemS, was.SystemS), TotalS: minus(now.TotalS, was.TotalS),
		Periods: minus(now.Periods, was.Periods), ThrottledPeriods: minus(now.ThrottledPeriods, was.ThrottledPeriods),
		ThrottledS: minus(now.ThrottledS, was.ThrottledS),
	}
}

// ioDelta is the input and output of a phase, of all devices together.
func ioDelta(now, was protocol.IO) protocol.IO {
	return protocol.IO{
		ReadBytes: minus(now.ReadBytes, was.ReadBytes), WriteBytes: minus(now.WriteBytes, was.WriteBytes),
		ReadOps: minus(now.ReadOps, was.ReadOps), WriteOps: minus(now.WriteOps, was.WriteOps),
	}
}

// pressureDelta is the stall time of a phase, in seconds as its arguments are.
func pressureDelta(now, was protocol.Pressure) protocol.Pressure {
	delta := func(a, b protocol.Stall) protocol.Stall {
		return protocol.Stall{SomeS: minus(a.SomeS, b.SomeS), FullS: minus(a.FullS, b.FullS)}
	}
	return protocol.Pressure{CPU: delta(now.CPU, was.CPU), Memory: delta(now.Memory, was.Memory), IO: delta(now.IO, was.IO)}
}

// minus is unknown if either is. Seconds come from microseconds, and are rounded to those
// again: the difference of two floats has digits that were never measured.
func minus[N uint64 | float64](a, b *N) *N {
	if a == nil || b == nil {
		return nil
	}
	d := N(math.Round(float64(*a-*b)*1e6) / 1e6)
	return &d
}
