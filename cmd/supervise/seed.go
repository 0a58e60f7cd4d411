package main

import (
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// seed is supervise without arguments: the binary protocol on descriptors 0 and
// 1. The job is the children that exist already, and all they start.
func seed() int {
	caught, err := signals.Catch(fatalSignals)
	if err != nil {
		complain(err)
		return exitFailure
	}
	if err := subreaper.Become(); err != nil {
		complain(err)
		return exitFailure
	}
	h := adoptChildren()
	owner, flush := talk(0, 1)
	s := &supervisor.Supervisor{
		Owner:    owner,
		Children: caught.Children, Signals: caught.Others,
		Sweep: h.tree.Kill, Watch: h.watch,
	}
	s.Start(supervisor.Spec{Containment: h}) // cannot fail: there is no process to start
	result := s.Run()[0]
	if s.Owner.Events != nil { // else nobody listens any more
		flush()
	}
	if result.Err != nil {
		complain(result.Err)
		return exitRubbish
	}
	return 0
}

// adoptChildren moves all there is below us into a job. Where that cannot be, it
// stays where it is, in the fallback: the owner has no flag to be told by.
func adoptChildren() *hold {
	h, err := takeHold("", "job")
	if err != nil {
		h = fallback(err.Error())
	} else if err = h.adopt(); err != nil {
		h.giveUp(err)
	}
	if h.session == nil {
		h.guardMarked() // if that cannot be either, the job is as safe as with our predecessor
	}
	return h
}

func (h *hold) adopt() error {
	if err := h.guard(); err != nil {
		return err
	}
	if err := h.job.Adopt(h.tree.Each); err != nil {
		return err
	}
	h.session.RemoveStale()
	return nil
}

// talk connects an owner. Its goroutines end with the owner, or the process. Flush
// waits until the last event is written.
func talk(in, out int) (owner supervisor.Owner, flush func()) {
	requests := make(chan protocol.Request)
	gone := make(chan error, 1)
	events := make(chan protocol.Event)
	deaf, written := make(chan struct{}), make(chan struct{})
	go func() { gone <- readRequests(in, requests) }()
	go func() {
		defer close(written)
		for e := range events {
			if writeAll(out, e[:]) != nil {
				close(deaf)
				return
			}
		}
	}()
	flush = func() {
		close(events)
		<-written
	}
	return supervisor.Owner{Requests: requests, Gone: gone, Events: events, Deaf: deaf}, flush
}

// readRequests reads until the end of input, which is nil, or rubbish. The
// descriptor may share its file description with the owner, so it is left as it
// is, blocking or not.
func readRequests(fd int, requests chan<- protocol.Request) error {
	var decoder protocol.RequestDecoder
	whole := keepsBoundaries(fd)
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			continue
		case n <= 0:
			return decoder.Close() // end of file; or ECONNRESET and the like, which is the same to us
		}
		list, err := decoder.Decode(buf[:n])
		for _, r := range list {
			requests <- r
		}
		if err == nil && whole {
			err = decoder.Close()
		}
		if err != nil {
			return err
		}
	}
}

// keepsBoundaries says whether a descriptor is a socket with messages.
func keepsBoundaries(fd int) bool {
	t, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && (t == unix.SOCK_SEQPACKET || t == unix.SOCK_DGRAM)
}
