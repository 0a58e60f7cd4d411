package supervisor

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// An Owner is whoever started us, at the other end of two descriptors. Neither
// is ever waited for but in poll(2), nor are their flags changed, which the owner,
// or a terminal's other users, may share.
type Owner struct {
	In  int // requests come in here, and its end is the owner's; -1: none of both
	Out int // status changes of all children go out here; -1: nowhere
	// Usage has each event followed by the rusage of a process that has ended: see
	// AppendUsage.
	Usage bool
	// Mute owners say nothing that matters.
	Mute bool
	// Gone is called when the owner has; nil: all jobs end.
	Gone func()

	in, out wire.End
	decoder protocol.RequestDecoder
	unsent  []byte // of the last event
	gone    bool
}

func (o *Owner) open() {
	o.in, o.out = wire.Open(o.In, unix.O_RDONLY), wire.Open(o.Out, unix.O_WRONLY)
}

// listens says whether there is anything to come from the owner.
func (o *Owner) listens() bool { return o.In >= 0 && !o.gone }

func (o *Owner) undelivered() bool { return len(o.unsent) > 0 }

// read takes what the owner has said. At the end of it gone is set; then the
// error is what the owner did wrong, nil if it just went.
func (o *Owner) read() ([]protocol.Request, error) {
	var buf [4096]byte
	n, err := o.in.Read(buf[:])
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return nil, nil
	case n <= 0: // end of file; or ECONNRESET and the like, which is the same to us
		o.gone = true
		return nil, o.decoder.Close()
	case o.Mute:
		return nil, nil
	}
	requests, err := o.decoder.Decode(buf[:n])
	if err == nil && o.in.Whole() {
		err = o.decoder.Close()
	}
	o.gone = err != nil
	return requests, err
}

// tell delivers an event, or keeps it for flush.
func (o *Owner) tell(e *protocol.Event, usage *unix.Rusage) {
	if o.Out < 0 {
		return
	}
	if o.unsent = e[:]; o.Usage {
		o.unsent = AppendUsage(e[:protocol.EventSize:protocol.EventSize], usage)
	}
	o.flush()
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

// flush goes on delivering, and says whether it is done: also if nobody will
// read any more.
func (o *Owner) flush() bool {
	for len(o.unsent) > 0 {
		n, err := o.out.Write(o.unsent)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil:
			o.deafen()
		default:
			o.unsent = o.unsent[n:]
		}
	}
	return true
}

// deafen gives up delivering events.
func (o *Owner) deafen() { o.Out, o.unsent = -1, nil }
