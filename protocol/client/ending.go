package client

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// hangUp tells the supervisor that nothing more will come, once it has got what is being
// written.
func (l *loop) hangUp() {
	if l.writing || l.failed {
		return
	}
	if s, ok := l.sock.(interface{ CloseWrite() error }); ok {
		s.CloseWrite()
	} else {
		l.sock.Close()
	}
}

// fail ends the connection. Every call and every Wait returns its error.
func (l *loop) fail(err error) {
	l.failed = true
	l.sock.Close() // the writer may be in it
	close(l.writes)
	for range l.incoming { // until the reader has ended
	}
	<-l.attended
	l.written = nil // all calls are answered below
	l.endErr = l.process.end()
	l.err = l.reason(err)
	for _, k := range l.calls {
		l.forget(k)
		l.finish(k, nil, l.err)
	}
	for _, j := range l.jobs {
		l.endJob(j, nil, l.err)
	}
	close(l.dead)
}

// reason is what Conn.Err will be.
func (l *loop) reason(err error) error {
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.ECONNRESET)
	switch {
	case l.closes == nil:
		return ErrClosed
	case hungUp && l.endErr != nil:
		return fmt.Errorf("%w: %w", ErrLost, l.endErr)
	case err == io.EOF:
		return fmt.Errorf("%w: it has closed the connection", ErrLost)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// why nothing can be asked any more.
func (l *loop) why() error {
	if l.closes == nil {
		return ErrClosed
	}
	return l.lost
}
