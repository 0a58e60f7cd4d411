package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestConformance: the client's own reader understands all that a supervisor says in the
// conformance script. It need not know an id that is none of ours.
func TestConformance(t *testing.T) {
	all, err := testbed.ReadScript()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode, func(t *testing.T) {
			start(t, mode, Options{}) // skips, or fails, where there is none
			for _, steps := range all {
				if only := steps[0].Only; only != "" && only != mode {
					continue
				}
				t.Run(steps[0].Conversation, func(t *testing.T) {
					if err := testbed.Replay(replayed(t, mode), mode, steps); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// replayed starts a supervisor for a conversation.
func replayed(t *testing.T, mode string) testbed.Peer {
	cmd := exec.CommandContext(limit(t), supervise, "serve", "--contain", mode)
	cmd.Dir = t.TempDir()
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	r := bufio.NewReader(out)
	return testbed.Peer{
		Say:   func(text string) { io.WriteString(in, text) },
		Close: func() { in.Close() },
		Wait:  func() int { cmd.Wait(); return cmd.ProcessState.ExitCode() },
		Line: func() (string, error) {
			line, err := readLine(r, maxLine)
			if err == nil {
				understood(t, line)
			}
			return string(line), err
		},
	}
}

// understood has the client decode a line.
func understood(t *testing.T, line []byte) {
	t.Helper()
	var about struct {
		ID     any
		Method string
	}
	if err := json.Unmarshal(line, &about); err != nil {
		t.Fatal(err)
	}
	m, err := decode(line)
	if id, ours := about.ID.(float64); about.Method == "" && (!ours || id != float64(int64(id))) {
		return
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
	if _, raw := m.event.Params.(json.RawMessage); raw || (about.Method != "") == m.answer {
		t.Errorf("%s is %+v to the client", line, m)
	}
}
