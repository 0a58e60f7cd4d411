package supervisor

import (
	"time"

	"golang.org/x/sys/unix"
)

// idleAfter is how long nothing happens before Idle is called, idleStarts how many jobs
// leave enough behind to call it again.
const (
	idleAfter  = 100 * time.Millisecond
	idleStarts = 1000
)

// happened is what a wait was woken by.
type happened struct {
	signals, children, requests, writable, hints bool
	inputs                                       []bool // by index in Inputs
}

// wait sleeps until something happens or a deadline has passed.
func (s *Supervisor) wait() (h happened) {
	fds := make([]unix.PollFd, 0, 5+len(s.Inputs))
	which := make([]*bool, 0, 5+len(s.Inputs))
	h.inputs = make([]bool, len(s.Inputs))
	add := func(fd int, events int16, flag *bool) {
		fds, which = append(fds, unix.PollFd{Fd: int32(fd), Events: events}), append(which, flag)
	}
	if s.Signals != nil {
		add(s.Signals.FD(), unix.POLLIN, &h.signals)
		add(s.Signals.ChildFD(), unix.POLLIN, &h.children)
	}
	if s.Owner != nil && s.Owner.listens() {
		add(s.Owner.In, unix.POLLIN, &h.requests)
	}
	if s.Owner != nil && s.Owner.undelivered() {
		add(s.Owner.Out, unix.POLLOUT, &h.writable)
	}
	if s.watcher != nil {
		add(s.watcher.FD(), unix.POLLIN, &h.hints)
	}
	for i, in := range s.Inputs {
		if events := in.events(); events != 0 && in.FD >= 0 { // else not even a hang-up is of interest
			add(in.FD, events, &h.inputs[i])
		}
	}
	n, err := unix.Ppoll(fds, s.timeout(), nil)
	if n == 0 && err == nil && !s.idled && !s.unreaped() {
		s.idle()
	}
	for i, fd := range fds {
		*which[i] = n > 0 && fd.Revents != 0
	}
	if err == unix.EINTR { // by a signal: it is there to be read
		h.signals = s.Signals != nil
		h.children = h.signals
	}
	return h
}

// timeout is the time until the next deadline; nil: there is none.
func (s *Supervisor) timeout() *unix.Timespec {
	if s.unreaped() {
		return &unix.Timespec{}
	}
	next := time.Duration(-1)
	if len(s.alarms) > 0 {
		next = max(0, time.Until(s.alarms[0].next))
	}
	if !s.idled && s.Idle != nil && (next < 0 || idleAfter < next) {
		next = idleAfter
	}
	if next < 0 {
		return nil
	}
	t := unix.NsecToTimespec(int64(next))
	return &t
}

// idle uses the first pause.
func (s *Supervisor) idle() {
	if s.Idle != nil {
		s.Idle()
	}
	s.idled = true
}
