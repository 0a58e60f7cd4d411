package serve

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// readScript returns the conversations of the conformance script.
func readScript(t testing.TB) [][]testbed.Step {
	t.Helper()
	all, err := testbed.ReadScript()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConformance(t *testing.T) {
	conversations := readScript(t)
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, steps := range conversations {
			if only := steps[0].Only; only == "" || only == string(c) {
				t.Run(steps[0].Conversation, func(t *testing.T) {
					if err := testbed.Replay(newBox(t).serve(c, pipes).peer(), string(c), steps); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	})
}

// peer is the server for a replay; the schema is held against all that it says.
func (s *server) peer() testbed.Peer {
	return testbed.Peer{Say: s.write, Close: s.closeInput, Wait: s.wait, Line: func() (string, error) {
		line, err := s.line()
		if errors.Is(err, syscall.ECONNRESET) {
			err = io.EOF
		}
		if err == nil {
			s.checker.message(line)
		}
		return line, err
	}}
}
