package serve

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestTrace: the trace tells of each job by its main process, and ends with the server.
func TestTrace(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		b := newBox(t)
		cmd := exec.Command(supervise, "serve", "--contain="+string(c), "--trace=fd:3")
		cmd.ExtraFiles = []*os.File{w}
		s := b.start(cmd, socket)
		w.Close()
		s.hello()
		j := s.shell(captured, "trap '' TERM; echo ready; while :; do sleep 1000; done")
		j.told("output")
		j.do("kill", object{"grace": 0.1})
		j.ended("killed")
		s.end()
		var states []string
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var l struct {
				Time, What, State string
				Job, Lost         int
			}
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Time == "" || l.What == "" || l.Lost != 0 {
				t.Errorf("%q: %v", lines.Text(), err)
			}
			if l.What == "state" && (l.Job == j.pid || c == inSubreaper) {
				states = append(states, l.State)
			}
		}
		r.Close()
		if want := []string{"stopping", "killing", "ended"}; c == inCgroup && !slices.Equal(states, want) || len(states) == 0 {
			t.Errorf("states %q, want %q", states, want)
		}
	})
}
