package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol/client"
	"github.com/seed-c1490a04/supervise/protocol/client/clienttest"
	"github.com/seed-c1490a04/supervise/protocol/client/examples/internal/rerun"
)

func TestMain(m *testing.M) { rerun.Main(m, main) }

func TestBuildfarm(t *testing.T) {
	var commands strings.Builder
	for i := range 20 {
		fmt.Fprintf(&commands, "echo %d; echo %d >&2\n", i, i)
	}
	status, out, bad := rerun.Run(t, commands.String(), "-j", "5")
	if status != 0 || bad != "" {
		t.Errorf("%d, %q", status, bad)
	}
	for i := range 20 {
		if want := fmt.Sprintf("%d\n%d\n", i, i); !strings.Contains("\n"+out, "\n"+want) {
			t.Errorf("%d is not in one piece: %q", i, out)
		}
	}
	status, _, bad = rerun.Run(t, "sleep 1000\nexit 3\nsleep 1000\n", "-j", "2")
	if status != 1 || !strings.Contains(bad, "exit 3: exit status 3") {
		t.Errorf("%d, %q", status, bad)
	}
}

// TestAtATime: without processes, so many at a time and no more.
func TestAtATime(t *testing.T) {
	srv := clienttest.NewServer()
	var running, most atomic.Int32
	two := make(chan struct{})
	srv.Handle("sh", func(p *clienttest.Process) clienttest.Exit {
		if n := running.Add(1); n == 2 && most.Swap(2) == 0 {
			close(two)
		} else if n > 2 {
			most.Store(n)
		}
		p.WaitFor(two)
		running.Add(-1)
		return 0
	})
	conn, err := srv.Connect(t.Context(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Wait()
	defer conn.Close()
	f := &farm{conn: conn, out: &bytes.Buffer{}}
	if err := f.run(t.Context(), strings.NewReader(strings.Repeat("make\n", 10)), 2); err != nil || most.Load() != 2 {
		t.Errorf("%d at a time, %v", most.Load(), err)
	}
}
