package options

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A line is what a reader of the trace makes of one.
type line struct {
	Time  time.Time
	What  string
	Job   int
	Error string
	Lost  int
}

// tracing returns what --trace is for a pipe, which is as small as can be.
func tracing(t *testing.T) (trace func(supervisor.TraceEvent), r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, roomAssured); err != nil || size != roomAssured {
		t.Fatal(size, err)
	}
	p := Default()
	p.TraceFD = int(w.Fd()) // which is a descriptor that blocks
	return p.Trace(), r, w
}

func read(t *testing.T, lines *bufio.Reader) (l line) {
	t.Helper()
	text, err := lines.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(text), &l)
	}
	if err != nil || l.Time.IsZero() {
		t.Fatalf("%q: %v", text, err)
	}
	return l
}

func TestNoTrace(t *testing.T) {
	if p := Default(); p.Trace() != nil {
		t.Error("traced without --trace")
	}
}

// TestTrace: a reader gets every event, in order.
func TestTrace(t *testing.T) {
	trace, r, _ := tracing(t)
	lines := bufio.NewReader(r)
	for i := range 1000 {
		trace(supervisor.TraceEvent{What: "start", Job: i + 1})
		if l := read(t, lines); l.What != "start" || l.Job != i+1 || l.Lost != 0 {
			t.Fatalf("%+v", l)
		}
	}
}

// TestTraceLost: a reader that reads nothing does not hold up the loop, and is told how
// much it has missed.
func TestTraceLost(t *testing.T) {
	trace, r, w := tracing(t)
	const events = 1000
	for i := range events {
		trace(supervisor.TraceEvent{What: "start", Job: i + 1})
	}
	lines := bufio.NewReader(r)
	kept := 0
	for ; lines.Buffered() > 0 || readable(r); kept++ {
		if l := read(t, lines); l.Job != kept+1 || l.Lost != 0 {
			t.Fatalf("%+v", l)
		}
	}
	trace(supervisor.TraceEvent{What: "end"})
	if l := read(t, lines); l.What != "end" || kept == 0 || kept+l.Lost != events {
		t.Errorf("%d lines were read, and %d are said to be lost, of %d", kept, l.Lost, events)
	}
	trace(supervisor.TraceEvent{What: "end"})
	if l := read(t, lines); l.Lost != 0 {
		t.Errorf("%d are said to be lost twice", l.Lost)
	}
	w.Close()
}

func readable(f *os.File) bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}, 0)
	return n == 1
}

// TestTraceLong: a line never is longer than what a pipe that has room takes at once.
func TestTraceLong(t *testing.T) {
	trace, r, _ := tracing(t)
	for _, what := range []string{"x", "\x01", "€"} {
		trace(supervisor.TraceEvent{What: "kill", Job: 5, Error: strings.Repeat(what, 10000)})
		if l := read(t, bufio.NewReader(r)); l.Job != 5 || !strings.HasPrefix(l.Error, what) {
			t.Errorf("%q: %+v", what, l)
		}
	}
}

// TestTraceUnread: a reader that has gone changes nothing for us.
func TestTraceUnread(t *testing.T) {
	trace, r, _ := tracing(t)
	r.Close()
	trace(supervisor.TraceEvent{What: "start"})
	trace(supervisor.TraceEvent{What: "end"})
}
