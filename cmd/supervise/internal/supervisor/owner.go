package supervisor

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// An Owner is the process that started the supervisor, at the other end of two
// descriptors. The loop waits for neither but in poll(2), and leaves their flags as they
// are: the owner, or other users of a terminal, may share them.
type Owner struct {
	In  int // requests come in here, and its end is the owner's; -1: none of both
	Out int // status changes of all children go out here; -1: nowhere
	// AppendUsage, if not nil, appends to each event what is to be told of the rusage of a
	// process that has ended.
	AppendUsage func(b []byte, u *unix.Rusage) []byte
	// Mute says that what the owner sends means nothing; its end still does.
	Mute bool
	// Gone is called at the owner's end; nil: all jobs end.
	Gone func()

	in, out wire.End
	decoder protocol.RequestDecoder
	unsent  []byte // of the last event
	gone    bool
}

func (o *Owner) open() {
	o.in, o.out = wire.Open(o.In, unix.O_RDONLY), wire.Open(o.Out, unix.O_WRONLY)
}

// listens says whether requests, or their end, may still come from the owner.
func (o *Owner) listens() bool { return o.In >= 0 && !o.gone }

func (o *Owner) undelivered() bool { return len(o.unsent) > 0 }

// maxRead is how much is read at once: 512 requests, and one byte by which a longer message
// is known.
const maxRead = 512*protocol.RequestSize + 1

// read takes the owner's requests. At their end gone is set; then the error is what the
// owner did wrong, nil if it just closed its end.
func (o *Owner) read() (requests []protocol.Request, err error) {
	var buf [maxRead]byte
	n, err := o.in.Read(buf[:])
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return nil, nil
	case err != nil || n == 0 && o.in.Ended(): // ECONNRESET and the like are the end to us
		o.gone = true
		return nil, o.decoder.Close()
	case o.Mute:
		return nil, nil
	case !o.in.Whole():
		return o.decoder.Decode(buf[:n]), nil
	}
	requests, err = o.decoder.DecodeMessage(buf[:n])
	o.gone = err != nil
	return requests, err
}

// Ignored returns how often the owner has sent something that means nothing, and what it
// was the first time.
func (o *Owner) Ignored() (times int, first error) { return o.decoder.Ignored() }

// tell delivers an event, or keeps it for flush.
func (o *Owner) tell(e *protocol.Event, usage *unix.Rusage) {
	if o.Out < 0 {
		return
	}
	if o.unsent = e[:]; o.AppendUsage != nil {
		o.unsent = o.AppendUsage(e[:protocol.EventSize:protocol.EventSize], usage)
	}
	o.flush()
}

// flush goes on delivering. It returns whether it is done, which it also is if the owner
// will never read again.
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
