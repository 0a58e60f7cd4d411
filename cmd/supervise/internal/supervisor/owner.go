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
	// Decoder takes apart what the owner sends; nil: by the binary protocol.
	Decoder Decoder
	// Encode says what is told of an event, and of the rusage of a process that has ended,
	// nothing if it is empty; nil: the event itself.
	Encode func(e *protocol.Event, u *unix.Rusage) []byte
	First  string   // is told before all events, if it is not empty
	Last   []string // are told when no child is left
	// Mute says that what the owner sends means nothing; its end still does.
	Mute bool
	// Gone is called at the owner's end; nil: all jobs end.
	Gone func()

	in, out wire.End
	unsent  []byte // of what was told last
	gone    bool
}

// A Decoder makes requests of what an owner sends. What means nothing it ignores.
type Decoder interface {
	Decode(b []byte) []protocol.Request
	// DecodeMessage is Decode for a socket that keeps message boundaries.
	DecodeMessage(b []byte) ([]protocol.Request, error)
	// Close says whether the input may end here.
	Close() error
	// Ignored returns how often something was ignored, and what it was the first time.
	Ignored() (times int, first error)
}

func (o *Owner) open() {
	o.in, o.out = wire.Open(o.In, unix.O_RDONLY), wire.Open(o.Out, unix.O_WRONLY)
	if o.Decoder == nil {
		o.Decoder = &protocol.RequestDecoder{}
	}
	if o.Out >= 0 {
		o.unsent = []byte(o.First)
		o.flush()
	}
}

// close tells what comes last. It waits for the owner, but no longer than until a signal
// arrives.
func (o *Owner) close() {
	for _, text := range o.Last {
		if o.Out < 0 {
			return
		}
		for o.unsent = []byte(text); !o.flush(); {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(o.Out), Events: unix.POLLOUT}}, -1); err != nil {
				o.deafen()
			}
		}
	}
}

// listens says whether requests, or their end, may still come from the owner.
func (o *Owner) listens() bool { return o.In >= 0 && !o.gone }

// HasHungUp says whether the owner has closed its end, read or not.
func (o *Owner) HasHungUp() bool {
	fds := []unix.PollFd{{Fd: int32(o.In), Events: unix.POLLRDHUP}}
	_, err := kernel.ppoll(fds, &unix.Timespec{}, nil)
	return err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLRDHUP) != 0
}

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
		return nil, o.Decoder.Close()
	case o.Mute:
		return nil, nil
	case !o.in.Whole():
		return o.Decoder.Decode(buf[:n]), nil
	}
	requests, err = o.Decoder.DecodeMessage(buf[:n])
	o.gone = err != nil
	return requests, err
}

// tell delivers an event, or keeps it for flush.
func (o *Owner) tell(e *protocol.Event, usage *unix.Rusage) {
	if o.Out < 0 {
		return
	}
	if o.unsent = e[:]; o.Encode != nil {
		o.unsent = o.Encode(e, usage)
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
