package client

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// FuzzServer: whatever a supervisor says after hello, a job ends with an error or a
// record, the connection ends, and nothing panics or hangs.
func FuzzServer(f *testing.F) {
	f.Fuzz(func(t *testing.T, said []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, err := NewConn(ctx, newSayer(said), Options{Events: 1, Patience: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		cmd := c.CommandContext(ctx, "true")
		cmd.Stdout = &Capture{}
		if err := cmd.Run(); err == nil && cmd.Record() == nil {
			t.Error("there is neither an error nor a record")
		}
		if ctx.Err() != nil {
			t.Error("it hangs")
		}
		c.Close()
	})
}

// A sayer is a connection that answers the first request with hello, and the second with
// all it has to say.
type sayer struct {
	net.Conn // nil: nothing else of it is used
	mu       sync.Mutex
	changed  *sync.Cond
	said     [][]byte // for each request
	asked    int
	closed   bool
}

func newSayer(said []byte) *sayer {
	s := &sayer{said: [][]byte{[]byte(helloAnswer[2:] + "\n"), said}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *sayer) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && s.asked == 0 {
		s.changed.Wait()
	}
	if s.closed || len(s.said) == 0 || len(s.said[0]) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.said[0])
	if s.said[0] = s.said[0][n:]; len(s.said[0]) == 0 && len(s.said) == 2 {
		s.said = s.said[1:]
		s.asked--
	}
	return n, nil
}

func (s *sayer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.changed.Broadcast()
	return len(b), nil
}

func (s *sayer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
	return nil
}

// FuzzJob: whatever a supervisor says of a job that is read, written, looked at and waited for
// in every way over the connection, nothing panics or hangs, and all goroutines end.
func FuzzJob(f *testing.F) {
	f.Fuzz(func(t *testing.T, said []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		s := newSayer(said)
		s.said[0] = []byte(strings.Replace(helloAnswer[2:], `["fds"]`, `["input","window","keep","text","ready","pty","kill-wait","pipeline"]`, 1) + "\n")
		c, err := NewConn(ctx, s, Options{Events: 1, Patience: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		cmd := c.CommandContext(ctx, "true")
		kept := &Kept{Text: true}
		cmd.Stderr, cmd.Notify = kept, []string{protocol.NotifyReady}
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if cmd.Start() == nil {
			var users sync.WaitGroup
			users.Go(func() { io.WriteString(in, "input"); in.Close() })
			users.Go(func() { io.Copy(io.Discard, out); out.Close() })
			users.Go(func() { cmd.Ready(ctx) })
			users.Go(func() {
				io.CopyN(io.Discard, kept.Reader(ctx, 0), 1000)
				kept.ReadAt(make([]byte, 10), 0)
				cmd.Forget()
			})
			users.Go(func() { cmd.KillWait(ctx) })
			users.Go(func() { cmd.Wait() })
			users.Wait()
		}
		if ctx.Err() != nil {
			t.Error("it hangs")
		}
		c.Close()
	})
}
