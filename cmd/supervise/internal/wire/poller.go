package wire

import (
	"os"

	"golang.org/x/sys/unix"
)

// A Poller is any number of descriptors behind one that can be polled (epoll(7)): the
// loop's poll(2) takes a time that grows with the number of its descriptors, and a server
// has several for each job. It belongs to one goroutine. The descriptors stay their
// owners'.
type Poller struct {
	fd       int
	handlers map[int]handler
}

// A handler is kept also while it waits for no events, so that Watch knows whether the
// kernel has the descriptor.
type handler struct {
	handle func(events uint32)
	events uint32
}

// NewPoller makes a Poller, which the caller closes.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &Poller{fd, map[int]handler{}}, nil
}

// FD returns a descriptor that is readable when Dispatch has something to do.
func (p *Poller) FD() int { return p.fd }

// Watch has handle called for events (EPOLLIN and so on) of a descriptor, for as long as
// they last (level-triggered); it replaces an earlier call. Without events the descriptor
// is kept, and not even a hang-up is told.
func (p *Poller) Watch(fd int, events uint32, handle func(events uint32)) error {
	old, known := p.handlers[fd]
	watched := known && old.events != 0
	p.handlers[fd] = handler{handle, events}
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	var err error
	switch {
	case watched && events == old.events:
	case watched && events == 0: // EPOLLHUP cannot be masked
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
	case watched:
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &event)
	case events != 0:
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &event)
	}
	if err != nil {
		delete(p.handlers, fd)
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// Forget is to be called before a descriptor is closed: a duplicate in another process
// keeps the open file description, and with it the kernel's entry, which would report for
// ever (epoll(7), "Will closing a file descriptor cause it to be removed").
func (p *Poller) Forget(fd int) {
	if h, ok := p.handlers[fd]; ok && h.events != 0 {
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
	}
	delete(p.handlers, fd)
}

// Dispatch handles what has happened, at most 64 descriptors, and does not wait. More are
// reported by the next round of the loop, as FD is readable for as long as any is.
func (p *Poller) Dispatch() {
	var events [64]unix.EpollEvent
	n, _ := unix.EpollWait(p.fd, events[:], 0)
	for _, e := range events[:max(n, 0)] {
		if h, ok := p.handlers[int(e.Fd)]; ok && h.events != 0 { // else forgotten by one before
			h.handle(e.Events)
		}
	}
}

// Close ends the polling.
func (p *Poller) Close() error { return unix.Close(p.fd) }
