package integration

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// An output collects what a process writes, and wakes who waits for a line.
type output struct {
	f    *os.File
	done chan struct{} // closed at EOF

	mu    sync.Mutex
	grown *sync.Cond
	buf   bytes.Buffer
	ended bool
}

// collect reads f to its end, on a goroutine that ends at EOF or when the output is closed.
func collect(f *os.File) *output {
	o := &output{f: f, done: make(chan struct{})}
	o.grown = sync.NewCond(&o.mu)
	go o.read()
	return o
}

func (o *output) read() {
	defer close(o.done)
	chunk := make([]byte, 64<<10)
	for {
		n, err := o.f.Read(chunk)
		o.mu.Lock()
		o.buf.Write(chunk[:n])
		o.ended = err != nil
		o.grown.Broadcast()
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// waitUntil blocks until the text so far satisfies ok, and reports false at EOF.
func (o *output) waitUntil(ok func(text string) bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !ok(o.buf.String()) {
		if o.ended {
			return false
		}
		o.grown.Wait()
	}
	return true
}

// waitFor blocks until there is such a line.
func (o *output) waitFor(line string) bool {
	return o.waitUntil(func(text string) bool {
		return strings.HasPrefix(text, line+"\n") || strings.Contains(text, "\n"+line+"\n")
	})
}

// waitBytes blocks until there are n bytes.
func (o *output) waitBytes(n int) bool {
	return o.waitUntil(func(text string) bool { return len(text) >= n })
}

func (o *output) String() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// rest waits for the end and returns everything. Whoever wrote there is gone, so it is near.
func (o *output) rest(t *testing.T) string {
	t.Helper()
	if o == nil {
		return ""
	}
	select {
	case <-o.done:
	case <-time.After(killPatience):
		t.Errorf("an output is still held open by somebody: %s", describe(descendants()))
	}
	return o.String()
}

// close gives up reading.
func (o *output) close() {
	o.f.Close()
	<-o.done
}
