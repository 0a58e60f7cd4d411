package serve

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// blocked implements supervisor.Serving: it stops the reaping, not the loop.
func (v *server) blocked() bool { return v.conn.Blocked() }

// wantsInput returns the events for which the loop polls the input. While the owner takes
// no answers, no request is read, yet the end of the input must be seen: POLLRDHUP (Linux
// 2.6.17) tells of it on a socket, POLLHUP, which poll(2) always reports, on a pipe. In
// parting the end has been seen; as a hang-up lasts, to poll for it again would spin. The end
// comes after a request that was put off.
func (v *server) wantsInput() int16 {
	switch {
	// No events at all: the loop then leaves the descriptor out, and with it the hang-up.
	case v.phase == over || v.blocked() && v.phase == parting:
		return 0
	// Not POLLIN: with unread requests on the wire the loop would spin.
	case v.blocked():
		return unix.POLLRDHUP
	case v.putOff != nil:
		return 0
	}
	return unix.POLLIN
}

// wantsOutput returns the events for which the loop polls the output. POLLERR is reported
// in any case, but the loop leaves out a descriptor with no events at all: with it the
// loop hears of a pipe without readers, though nothing is being sent.
func (v *server) wantsOutput() int16 {
	if v.blocked() || len(v.waiting) > 0 || v.conn.HungUp() {
		return unix.POLLOUT
	}
	return unix.POLLERR
}

// flush is called when there is room, or an error. It sends the kept text, and then lets
// the requests and outputs go on that waited for room. An owner that can never read again
// is gone: all jobs end.
func (v *server) flush() bool {
	kept := v.conn.Unsent()
	v.conn.Flush()
	v.discarded(kept - v.conn.Unsent()) // the pause may have been before
	// A pipe that is full and has lost its reader reports both at once.
	if v.conn.Deaf() {
		v.finish(protocol.CauseOwnerGone)
		return false
	}
	// With room for some of the text only, the rest still comes first.
	if !v.blocked() {
		v.resume()
	}
	return true
}

// poll hands on what the poller has: captured output, events of nested jobs, limits. The
// poller has no end, so it stays an input.
func (v *server) poll() bool {
	v.poller.Dispatch()
	return true
}

// read takes requests. The end of input is the end of all jobs, also while the owner
// takes no answers: the jobs are killed at once, and the requests from before the end are
// answered when there is room again. Then the end is read once more, and finish follows.
func (v *server) read() bool {
	var end bool
	if v.blocked() {
		end = v.conn.Mute()
	} else {
		end = v.conn.Read()
		v.requests()
	}
	switch {
	case !end:
	// All answers are on their way, so nothing is left to be done with the input.
	case !v.blocked() && v.putOff == nil:
		v.finish(protocol.CauseOwnerGone)
	// The end is read once more when that was carried out.
	case !v.blocked():
	default:
		// Deadlines and kills go on; the rest of the conversation waits for room.
		v.phase = max(v.phase, parting)
		v.s.End(protocol.CauseOwnerGone, nil)
	}
	return v.phase < over
}

// requests carries out what was read, for as long as the owner takes the answers; the
// rest goes on in resume. Each answer is flushed before the next request, so that the
// next request is not carried out for an owner that does not read. One that is to wait for
// starts is put off, and with it all that follow.
func (v *server) requests() {
	for v.phase < over {
		if v.blocked() {
			v.waiting = append(v.waiting, v.requests)
			return
		}
		r := v.next()
		if r == nil {
			return
		}
		if !r.mayGoOn() {
			v.putOff = r
			return
		}
		r.carryOut()
		v.conn.Flush()
	}
}

// next returns the request that was put off, or the next one that was read; nil: there is none.
func (v *server) next() (r *request) {
	if r, v.putOff = v.putOff, nil; r != nil {
		return r
	}
	for {
		line, tooLong, ok := v.conn.Next()
		switch {
		case !ok:
			return nil
		// The id of such a request was not read, hence null; the conversation goes on
		// with the next.
		case tooLong:
			v.discarded(protocol.MaxRequest)
			return &request{v: v, wrong: failure(protocol.CodeTooLong, "", "the line is longer than %d bytes", protocol.MaxRequest)}
		// An empty line is ignored: it is easily sent by hand.
		case len(line) > 0:
			v.discarded(len(line))
			return v.request(line)
		}
	}
}

// resume lets those go on that waited for room. The list is taken first: each of them may
// find no room again and put itself back.
func (v *server) resume() {
	waiting := v.waiting
	v.waiting = nil
	// In the order in which they stopped, so that no job is always the last.
	for _, goOn := range waiting {
		goOn()
	}
}
