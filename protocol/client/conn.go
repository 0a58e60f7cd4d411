package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Conn is a connection to a supervisor: it is the owner of the jobs that were started
// through it. Its methods may be called by any number of goroutines.
type Conn struct {
	hello  protocol.HelloResult
	sock   net.Conn
	fds    bool // descriptors can be sent
	nextID atomic.Int64

	// To the loop.
	requests  chan *call
	abandoned chan *call
	waits     chan *job
	leaves    chan *job
	closing   chan struct{}
	closeOnce sync.Once
	process   *process // nil if this process has not started it

	// From the loop.
	events chan Event
	dead   chan struct{} // closed when nothing will be answered any more
	err    error         // why, once dead is closed
	endErr error         // how the supervisor ended, once dead is closed
	done   chan struct{} // closed when all goroutines have ended
}

// A call is a request and what becomes of it.
type call struct {
	id     int64
	method string
	line   []byte
	files  []*os.File // to send with it; closed when they are sent, or cannot be
	spawns *job       // or nil
	leaves *job       // that is detached, or nil

	done   chan struct{} // closed when there is an answer, or an error
	result json.RawMessage
	err    error

	slow      bool // it is answered when its job has done something, and not soon
	abandoned bool // the loop's: the caller does not wait for the answer any more
}

// slowMethods are answered when a job has ended, or has read its input.
var slowMethods = []string{protocol.MethodWait, protocol.MethodShutdown, protocol.MethodInput}

func newConn(sock net.Conn, p *process, o Options) *Conn {
	_, unix := sock.(*net.UnixConn)
	c := &Conn{
		sock:      sock,
		fds:       unix,
		process:   p,
		requests:  make(chan *call),
		abandoned: make(chan *call),
		waits:     make(chan *job),
		leaves:    make(chan *job),
		closing:   make(chan struct{}),
		dead:      make(chan struct{}),
		done:      make(chan struct{}),
	}
	if o.Events > 0 {
		c.events = make(chan Event, o.Events)
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	go newLoop(c, o.Patience).run() // ends after the connection has, or Close; Close waits for it
	return c
}

// Hello is what the supervisor said of itself and of this place.
func (c *Conn) Hello() protocol.HelloResult { return c.hello }

// Has reports whether the supervisor has a feature, such as "freeze": see SERVE.md.
func (c *Conn) Has(feature string) bool { return slices.Contains(c.hello.Features, feature) }

// Done is closed when the connection has ended; Err says why.
func (c *Conn) Done() <-chan struct{} { return c.dead }

// Err is nil while the connection is there. Then it is ErrClosed after Close, and
// otherwise wraps ErrLost.
func (c *Conn) Err() error {
	select {
	case <-c.dead:
		return c.err
	default:
		return nil
	}
}

// List returns the jobs whose end was not told yet, oldest first.
func (c *Conn) List(ctx context.Context) ([]protocol.JobState, error) {
	var r protocol.ListResult
	err := c.Call(ctx, protocol.MethodList, nil, &r)
	return r.Jobs, err
}

// Shutdown ends all jobs, after a grace period in which each of their processes has
// got a SIGTERM, and returns when none is left. No job can be started after it.
func (c *Conn) Shutdown(ctx context.Context, grace time.Duration) error {
	return c.Call(ctx, protocol.MethodShutdown, protocol.ShutdownParams{Grace: new(max(0, grace.Seconds()))}, nil)
}

// Close ends all jobs, and returns when none is left, and every Wait has got its
// record. Events that the program does not read meanwhile are dropped, but for as many as
// Options.Events has room for. The error is the one with which the supervisor has ended, if this process
// has started it.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() { close(c.closing) })
	<-c.done
	return c.endErr
}

// abort ends a connection whose hello has failed.
func (c *Conn) abort() {
	if c.process != nil {
		c.process.kill()
	}
	c.sock.Close()
	c.Close()
}

// Call makes a request that has no method of its own here. If the context is done first,
// its error is returned, and the request may or may not be carried out. The descriptors
// that come with an answer ("pipe") are closed.
func (c *Conn) Call(ctx context.Context, method string, params, result any) error {
	k, err := c.newCall(method, params)
	if err != nil {
		return err
	}
	return c.await(ctx, k, result)
}

// await makes a call and reads the answer.
func (c *Conn) await(ctx context.Context, k *call, result any) error {
	if err := c.do(ctx, k); err != nil || result == nil {
		return err
	}
	if err := protocol.Unmarshal(k.result, result); err != nil {
		return fmt.Errorf("supervise: reading the answer to %s: %w", k.method, err)
	}
	return nil
}

func (c *Conn) newCall(method string, params any) (*call, error) {
	k := &call{id: c.nextID.Add(1), method: method, done: make(chan struct{}), slow: slices.Contains(slowMethods, method)}
	var err error
	k.line, err = encode(k.id, method, params)
	return k, err
}

// do hands a call to the loop and waits for the answer. It takes the files.
func (c *Conn) do(ctx context.Context, k *call) error {
	select {
	case c.requests <- k:
	case <-c.dead:
		closeAll(k.files)
		return c.err
	case <-c.closing:
		closeAll(k.files)
		return ErrClosed
	case <-ctx.Done():
		closeAll(k.files)
		return ctx.Err()
	}
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
	}
	select {
	case c.abandoned <- k:
		return ctx.Err()
	case <-k.done:
		return k.err
	}
}
