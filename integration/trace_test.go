package integration

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// traceLines reads a trace to its end: the states that it tells of, and what was lost.
func traceLines(t *testing.T, r *os.File) (states []string, lost int) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var l struct {
			Time, What, State string
			Lost              int
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Time == "" || l.What == "" {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		if l.What == "state" {
			states = append(states, l.State)
		}
		lost += l.Lost
	}
	return states, lost
}

// TestTrace: the trace of a deaf job whose time is up shows each rung of the ladder, and nothing but supervise holds it: it
// ends with supervise.
func TestTrace(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		l := b.run(c, []string{"--trace=fd:4", "--timeout=1", "--grace=200ms"}, sh("trap '' TERM; echo ready; while :; do sleep 1000; done")...)
		l.extra = []*os.File{w}
		p := b.start(l)
		w.Close()
		states, lost := traceLines(t, r)
		o := p.wait()
		o.wantCode(124)
		if want := []string{"stopping", "killing", "ended"}; !slices.Equal(states, want) || lost != 0 {
			t.Errorf("states %q, want %q; %d lines lost", states, want, lost)
		}
	})
}
