package nested

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// EncodeEvent is an event as the server gets it: with the usage behind it.
func EncodeEvent(e *protocol.Event, u *unix.Rusage) []byte {
	return AppendUsage(e[:protocol.EventSize:protocol.EventSize], u)
}

// UsageSize is how many bytes AppendUsage appends.
const UsageSize = 7 * 8

// AppendUsage appends what is worth telling of a rusage: int64 of the user and
// system time in nanoseconds, the maximum RSS in KiB, minor and major faults,
// voluntary and involuntary switches.
func AppendUsage(b []byte, u *unix.Rusage) []byte {
	for _, n := range [...]int64{u.Utime.Nano(), u.Stime.Nano(), u.Maxrss, u.Minflt, u.Majflt, u.Nvcsw, u.Nivcsw} {
		b = binary.NativeEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// ParseUsage reads what AppendUsage wrote; nil: it is something else.
func ParseUsage(b []byte) *unix.Rusage {
	if len(b) != UsageSize {
		return nil
	}
	var n [UsageSize / 8]int64
	for i := range n {
		n[i] = int64(binary.NativeEndian.Uint64(b[8*i:]))
	}
	return &unix.Rusage{
		Utime: unix.NsecToTimeval(n[0]), Stime: unix.NsecToTimeval(n[1]), Maxrss: n[2],
		Minflt: n[3], Majflt: n[4], Nvcsw: n[5], Nivcsw: n[6],
	}
}
