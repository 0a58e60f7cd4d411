// Package protocol is what a supervisor and its owner say to each other.
//
// # The binary protocol
//
// It is spoken by supervise without arguments, and is the one of its
// predecessor, the C program catern/supervise, byte for byte. Requests arrive on
// descriptor 0, events leave on descriptor 1; both may be the same socket. All
// numbers are in the byte order of the machine.
//
// A request, 8 bytes, asks to send a signal to an immediate child of the
// supervisor, living or zombie; for any other process it is ignored:
//
//	offset  size  field
//	     0     4  pid     int32
//	     4     4  signal  int32, 0 to 64
//
// On a SOCK_SEQPACKET or SOCK_DGRAM socket one message holds one or more whole
// requests, at most 512; on a stream or a pipe they may be split and merged at
// will. End of input ends the job.
//
// What means nothing is ignored, and the supervisor says so in one line on stderr
// at the end, with the count: a request for a signal that does not exist, an empty
// message, what is behind the last whole request of a message. Input that ends
// within a request, and a message that is shorter than one, are errors: they end
// the job as well.
//
// An event, 128 bytes, is the siginfo_t that waitid(2) fills for a child which
// changed status, one write each. These are the offsets on 64-bit Linux
// (include/uapi/asm-generic/siginfo.h); bytes not named are zero:
//
//	offset  size  field
//	     0     4  si_signo   int32, always SIGCHLD (17)
//	     4     4  si_errno   int32, always 0
//	     8     4  si_code    int32, see Code
//	    12     4  padding
//	    16     4  si_pid     int32
//	    20     4  si_uid     uint32, the child's real user
//	    24     4  si_status  int32, exit status or signal number
//
// A stop and a continuation are events too, which an owner that waits for ends has
// to pass over. Si_code alone tells: the child has ended if it is 1, 2 or 3
// ([Code.Ended]; supervise_event_ended in C, ChildEvent.ended in Python). The
// predecessor promised them, and never sent one.
//
// Every exit is reported, once. A stop and the continuation after it may fall
// together while the owner does not read: the kernel keeps one status a child.
//
// # The text protocol
//
// It is spoken by "supervise CONTROLFD STATUSFD COMMAND [ARG]...", and is the one
// that the predecessor had up to its version 1.4. Both descriptors are numbers, and
// may be the same socket; -1 is none. The command runs with neither.
//
// On the control descriptor there is one request, a line or, on a socket that keeps
// messages, a message: "signal N" asks to send a signal to the main process. End of
// input ends the job. On the status descriptor there is a line for each of these,
// one write each:
//
//	pid N          the main process, first of all
//	exited N       it has exited with a status,
//	killed N       or a signal has ended it,
//	dumped N       or has, and it has dumped core
//	no_children    nothing of the job is left
//	terminating    supervise exits, with 0
//
// Nothing is told of stops and of other processes. Lines that mean nothing are
// ignored as requests of the binary protocol are.
package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the binary messages in bytes.
const (
	RequestSize = 8
	EventSize   = 128
)

// ErrSyntax is wrapped by every error about bytes that are no message.
var ErrSyntax = errors.New("not the supervise protocol")

// A Request asks to send a signal to an immediate child.
type Request struct {
	PID    int32
	Signal int32 // 0 to 64; 0 only probes
}

const maxSignal = 64 // _NSIG on Linux

// AppendRequest appends the 8 bytes of a request.
func AppendRequest(b []byte, r Request) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(r.PID))
	return binary.NativeEndian.AppendUint32(b, uint32(r.Signal))
}

// A RequestDecoder puts requests together from pieces of a byte stream, or takes
// them from messages. The zero value is ready.
type RequestDecoder struct {
	rest []byte // 0 to 7 bytes of an unfinished request
	nonsense
}

// Decode returns the requests completed by b. It keeps what is unfinished, and
// not b. A request for a signal that does not exist is ignored.
func (d *RequestDecoder) Decode(b []byte) (requests []Request) {
	b = append(d.rest, b...)
	for len(b) >= RequestSize {
		r := Request{
			PID:    int32(binary.NativeEndian.Uint32(b[0:])),
			Signal: int32(binary.NativeEndian.Uint32(b[4:])),
		}
		if r.Signal < 0 || r.Signal > maxSignal {
			d.ignore("signal %d for process %d, and not 0 to %d", r.Signal, r.PID, maxSignal)
		} else {
			requests = append(requests, r)
		}
		b = b[RequestSize:]
	}
	d.rest = append([]byte(nil), b...)
	return requests
}

// DecodeMessage returns the requests of a message of a socket that keeps message
// boundaries. What is behind the last one is ignored, and so is an empty message. A
// message that is shorter than a request is an error that wraps ErrSyntax.
func (d *RequestDecoder) DecodeMessage(b []byte) ([]Request, error) {
	requests := d.Decode(b)
	switch {
	case len(b) == 0:
		d.ignore("an empty message")
	case len(b) < RequestSize:
		return nil, d.Close()
	case len(d.rest) > 0:
		d.ignore("the rest of a message, behind its last whole request")
	}
	d.rest = nil
	return requests, nil
}

// Close says whether the stream may end here: an unfinished request is an error
// that wraps ErrSyntax.
func (d *RequestDecoder) Close() error {
	if len(d.rest) > 0 {
		return fmt.Errorf("%w: a request of %d bytes, not %d", ErrSyntax, len(d.rest), RequestSize)
	}
	return nil
}

// A Code is si_code of an event: how a child changed status.
type Code int32

const (
	Exited    Code = 1 // Status is the exit status
	Killed    Code = 2 // Status is the signal
	Dumped    Code = 3 // Status is the signal; a core was dumped
	Trapped   Code = 4 // a traced child trapped
	Stopped   Code = 5 // Status is the signal
	Continued Code = 6 // Status is SIGCONT
)

// Ended says whether the child is no more.
func (c Code) Ended() bool { return c == Exited || c == Killed || c == Dumped }

// An Event is a siginfo_t as waitid(2) fills it.
type Event [EventSize]byte

func (e *Event) field(offset int) int32 {
	return int32(binary.NativeEndian.Uint32(e[offset:]))
}

// Code returns how the child changed status.
func (e *Event) Code() Code { return Code(e.field(8)) }

// PID returns the child's process id.
func (e *Event) PID() int { return int(e.field(16)) }

// UID returns the child's real user id.
func (e *Event) UID() uint32 { return uint32(e.field(20)) }

// Status returns the exit status (0 to 255) or the signal number, by Code.
func (e *Event) Status() int { return int(e.field(24)) }

// NewEvent makes the event that waitid(2) would report.
func NewEvent(code Code, pid int, uid uint32, status int) *Event {
	const sigchld = 17
	var e Event
	put := func(offset int, v int32) { binary.NativeEndian.PutUint32(e[offset:], uint32(v)) }
	put(0, sigchld)
	put(8, int32(code))
	put(16, int32(pid))
	put(20, int32(uid))
	put(24, int32(status))
	return &e
}

// ParseEvent checks and copies 128 bytes. Its errors wrap ErrSyntax.
func ParseEvent(b []byte) (*Event, error) {
	if len(b) != EventSize {
		return nil, fmt.Errorf("%w: an event of %d bytes, not %d", ErrSyntax, len(b), EventSize)
	}
	e := Event(b)
	if c := e.Code(); c < Exited || c > Continued {
		return nil, fmt.Errorf("%w: event code %d", ErrSyntax, c)
	}
	return &e, nil
}
