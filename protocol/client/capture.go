package client

import (
	"bytes"
	"sync"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Capture as Cmd.Stdout or Cmd.Stderr keeps what the job writes, up to a limit. The
// supervisor sends it over the connection: it takes no descriptor and no goroutine, and
// suits many jobs with a little output each. The zero value is ready. It is for one job.
type Capture struct {
	Limit int64 // bytes; what is beyond is dropped. 1 MiB if 0, all if -1
	// Wait has the job wait if we are slow to read; else what is too much for the
	// supervisor is dropped.
	Wait bool
	// Text has the supervisor send what is UTF-8 as text, and cut no character in two; so do
	// the events of Conn.Events. Bytes are the same.
	Text bool

	mu      sync.Mutex // the loop writes, callers read
	kept    bytes.Buffer
	dropped int64
}

// Bytes returns what has arrived.
func (c *Capture) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.kept.Bytes())
}

// String returns what has arrived.
func (c *Capture) String() string { return string(c.Bytes()) }

// Dropped is how many bytes were not kept; known when the job has ended.
func (c *Capture) Dropped() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Write implements io.Writer.
func (c *Capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Write(b)
}

func (c *Capture) take(b []byte) { c.Write(b) }

func (c *Capture) end(e protocol.OutputEnd, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = e.DroppedBytes
}

func (c *Capture) spec() *protocol.CaptureSpec {
	return &protocol.CaptureSpec{Limit: c.Limit, Wait: c.Wait, Text: c.Text}
}
