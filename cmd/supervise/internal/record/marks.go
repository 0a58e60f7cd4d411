package record

import (
	"bytes"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// MaxPhases and MaxMark bound what marks may cost: how many there may be, and how many
// bytes the name of one has.
const MaxPhases, MaxMark = 1000, 1000

// markRead is how much is read of marks at once.
const markRead = 4096

// ReadMarksFrom names the descriptor of which ReadMarks reads.
func (s *Samples) ReadMarksFrom(fd int) { s.marks = fd }

// ReadMarks takes lines from the descriptor of the marks; false at its end, and the job's.
func (s *Samples) ReadMarks() bool {
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
		if !ok && len(s.partial) < MaxMark {
			return n > 0
		}
		s.partial = append([]byte{}, rest...)
		s.Mark(string(line[:min(len(line), MaxMark)]))
	}
}

// DropMarks reads marks where there is nothing to measure, so that their writer does not
// wait; false at the end.
func DropMarks(fd int) bool {
	var buf [markRead]byte
	n, err := unix.Read(fd, buf[:])
	return n > 0 || err == unix.EINTR || err == unix.EAGAIN
}

// Mark ends a phase, which it returns, and begins another; nil: there are MaxPhases
// already.
func (s *Samples) Mark(name string) *protocol.Phase {
	if len(s.phases) >= MaxPhases {
		return nil
	}
	s.endPhase()
	s.name = name
	return &s.phases[len(s.phases)-1]
}

// endPhase notes what happened since the last mark.
func (s *Samples) endPhase() {
	now, was := s.Take(time.Now()), s.begun
	s.phases = append(s.phases, protocol.Phase{
		Name: s.name, Started: was.Time, WallS: now.WallS - was.WallS,
		CPU: cpuDelta(now.CPU, was.CPU), IO: ioDelta(now.IO, was.IO), Pressure: pressureDelta(now.Pressure, was.Pressure),
		MaxMemory: s.most,
	})
	s.begun, s.most = now, now.Memory.CurrentBytes
}

// lastMarks takes the marks that are there when the job has ended: the loop may have seen
// the end first. Another writer cannot keep it busy, as no pipe holds more. When the loop
// asks later, it finds nothing to wait for.
func (s *Samples) lastMarks() {
	for range 1 << 20 / markRead {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(s.marks), Events: unix.POLLIN}}, 0)
		if n <= 0 || !s.ReadMarks() {
			break
		}
	}
	s.marks = -1
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
