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

// Rest has Idle called in the next pause, though it was called before: much was left behind.
func (s *Supervisor) Rest() { s.idled = false }

// happened says which sources woke a wait.
type happened struct {
	signals, children, requests, writable, hints bool
	inputs                                       []bool // by index in Inputs
}

// A source is the reason to wait for a descriptor.
type source int

const (
	theSignals source = iota
	theChildren
	theRequests
	theRoom // for events
	theHints
	theInputs // and their index
)

func (h *happened) note(from source) {
	switch from {
	case theSignals:
		h.signals = true
	case theChildren:
		h.children = true
	case theRequests:
		h.requests = true
	case theRoom:
		h.writable = true
	case theHints:
		h.hints = true
	default:
		h.inputs[from-theInputs] = true
	}
}

// polled is the list for poll(2). The memory is kept between rounds: a supervisor that
// goes to sleep has just given pages back, and the allocator would take some again.
type polled struct {
	fds     []unix.PollFd
	from    []source
	inputs  []bool
	timeout unix.Timespec
}

func (p *polled) add(fd int, events int16, from source) {
	p.fds, p.from = append(p.fds, unix.PollFd{Fd: int32(fd), Events: events}), append(p.from, from)
}

// list lists what is of interest now.
func (s *Supervisor) list() *polled {
	p := &s.polled
	p.fds, p.from, p.inputs = p.fds[:0], p.from[:0], p.inputs[:0]
	if s.Signals != nil {
		p.add(s.Signals.FD(), unix.POLLIN, theSignals)
	}
	if s.Signals != nil && !s.held { // else SIGCHLD stays unread, and poll(2) would return at once for ever
		p.add(s.Signals.ChildFD(), unix.POLLIN, theChildren)
	}
	if s.Foster.PID() > 0 && !s.held {
		p.add(s.Foster.FD(), unix.POLLIN, theChildren)
		if end := s.Foster.MainFD(); end >= 0 {
			p.add(end, unix.POLLIN, theChildren)
		}
	}
	if s.Owner != nil && s.Owner.listens() {
		p.add(s.Owner.In, unix.POLLIN, theRequests)
	}
	if s.Owner != nil && s.Owner.undelivered() {
		p.add(s.Owner.Out, unix.POLLOUT, theRoom)
	}
	if s.watcher != nil {
		p.add(s.watcher.FD(), unix.POLLIN, theHints)
	}
	for i, in := range s.Inputs {
		p.inputs = append(p.inputs, false)
		if events := in.events(); events != 0 && in.FD >= 0 { // else not even a hang-up is of interest
			p.add(in.FD, events, theInputs+source(i))
		}
	}
	return p
}

// wait sleeps until something happens or a deadline has passed.
func (s *Supervisor) wait() (h happened) {
	p := s.list()
	h.inputs = p.inputs
	n, err := kernel.ppoll(p.fds, s.timeout(), nil)
	if err == unix.EINVAL { // RLIMIT_NOFILE was lowered from outside: there are more than that
		n, err = p.selectReady(s.timeout())
	}
	if n == 0 && err == nil && !s.idled && !s.unreaped() {
		s.idle()
	}
	for i := range p.fds {
		if n > 0 && p.fds[i].Revents != 0 {
			h.note(p.from[i])
		}
	}
	if err == unix.EINTR { // by a signal: it is there to be read
		h.signals = s.Signals != nil
		h.children = h.signals
	}
	return h
}

// selectReady is ppoll(2) by pselect(2), which no limit refuses. Of the descriptors beyond its
// reach it says that they are ready: to read them does not wait.
func (p *polled) selectReady(timeout *unix.Timespec) (n int, err error) {
	var in, out unix.FdSet
	last := -1
	for i := range p.fds {
		fd := int(p.fds[i].Fd)
		if p.fds[i].Revents = 0; fd >= unix.FD_SETSIZE {
			p.fds[i].Revents, timeout = p.fds[i].Events, &unix.Timespec{Nsec: 1e7}
			continue
		}
		if p.fds[i].Events&unix.POLLIN != 0 {
			in.Set(fd)
		}
		if p.fds[i].Events&unix.POLLOUT != 0 {
			out.Set(fd)
		}
		last = max(last, fd)
	}
	if _, err = unix.Pselect(last+1, &in, &out, nil, timeout, nil); err != nil {
		return 0, err
	}
	for i := range p.fds {
		fd := int(p.fds[i].Fd)
		if fd < unix.FD_SETSIZE && in.IsSet(fd) {
			p.fds[i].Revents |= unix.POLLIN
		}
		if fd < unix.FD_SETSIZE && out.IsSet(fd) {
			p.fds[i].Revents |= unix.POLLOUT
		}
		if p.fds[i].Revents != 0 {
			n++
		}
	}
	return n, nil
}

// timeout is the time until the next deadline; nil: there is none.
func (s *Supervisor) timeout() *unix.Timespec {
	next := time.Duration(-1)
	switch {
	case s.unreaped():
		next = 0
	case len(s.alarms) > 0:
		next = max(0, time.Until(s.alarms[0].next))
	}
	if !s.idled && s.Idle != nil && (next < 0 || idleAfter < next) {
		next = idleAfter
	}
	if next < 0 {
		return nil
	}
	s.polled.timeout = unix.NsecToTimespec(int64(next))
	return &s.polled.timeout
}

// idle uses the first pause.
func (s *Supervisor) idle() {
	if s.Idle != nil {
		s.Idle()
	}
	s.idled = true
}
