package client

import "time"

// An Event is a notification.
type Event struct {
	Method string // such as protocol.NoteExited
	Job    int    // its number, see Cmd.Job

	// Params are what protocol says of the method, such as *protocol.ProcessExited; a
	// json.RawMessage for a method that it does not know; nil for EventsStopped.
	Params any
}

// EventsStopped is the method of a last event, which comes from the client itself: the
// program has not read the events, and they stood in the way of a Wait.
const EventsStopped = "events-stopped"

// Events tells of all jobs of the connection, in order, if Options.Events asked for it;
// else it is nil. It is closed after the last event, when the connection has ended. The output
// that a Pty, a pipe or a Writer of a command gets is no event.
//
// The client drops no events, so the program should read them. While there are more than
// Options.Events the client reads nothing else, and when the socket is full, too, the
// supervisor stops sending. It loses nothing of importance by that, and no memory grows.
//
// Calls (Start, Kill, Stat and so on) work meanwhile, as the events before their answers
// are kept; so the goroutine that reads the events may make them.
//
// A Wait may be held up until the events before its job's end are read, and so may what else
// takes as long as a job does: Ready, KillWait, a Read or Write that goes over the connection.
// If no event is read for Options.Patience while one is held up, then there will be no more of
// them: EventsStopped is the last, and the Wait goes on. A reader of events has no need to Wait:
// protocol.NoteEnded has the record, and after it Wait returns at once, or when the last
// of the output is copied.
func (c *Conn) Events() <-chan Event { return c.events }

// emit hands an event over, or keeps it.
func (l *loop) emit(e Event) {
	if l.stopped {
		return
	}
	if len(l.spill) == 0 {
		select {
		case l.events <- e:
			return
		default:
		}
	}
	if l.closes != nil { // after Close was called no reader is waited for
		l.spill = append(l.spill, e)
	}
}

// held: nothing is read until an event was. While something is being written the
// supervisor may need us to read first.
func (l *loop) held() bool {
	return len(l.spill) > 0 && l.soon == 0 && !l.writing && !l.stopped && l.closes != nil
}

// deliverable is nil without events to deliver.
func (l *loop) deliverable() chan<- Event {
	if len(l.spill) == 0 {
		return nil
	}
	return l.events
}

func (l *loop) head() Event {
	if len(l.spill) == 0 {
		return Event{}
	}
	return l.spill[0]
}

// alarm rings when a Wait has been held up for too long by unread events.
func (l *loop) alarm() <-chan time.Time {
	if !l.held() || l.waiting == 0 || l.failed {
		l.calm()
		return nil
	}
	if l.timer == nil {
		l.timer = time.NewTimer(l.patience)
	}
	return l.timer.C
}

func (l *loop) calm() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

func (l *loop) stopEvents() {
	l.spill = append(l.spill, Event{Method: EventsStopped})
	l.stopped = true
}
