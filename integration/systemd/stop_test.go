package systemd

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStopScope: the manager stops the scope, as it does at logout and shutdown: the job has its grace, then it is killed, and
// the record is written.
func TestStopScope(t *testing.T) {
	tests := []struct {
		name, grace, script string
		code                int
		signal              string
	}{
		{"obeys", "30s", `trap "exit 3" TERM; echo ready; sleep ` + sleeper + ` & wait`, 3, ""},
		{"is deaf", "200ms", `trap "" TERM; echo ready; while :; do sleep 0.05; done`, 137, "SIGKILL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asUser(t)
			file := filepath.Join(t.TempDir(), "record")
			c := command(t, supervise("--grace", tt.grace, "--record", file, "--", "sh", "-c", tt.script)...)
			out, err := c.StdoutPipe()
			if err == nil {
				err = c.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			out.Read(make([]byte, 6))
			list := units()
			if len(list) != 1 {
				t.Fatalf("units %q", list)
			}
			run(t, "systemctl", manager(), "stop", strings.Fields(list[0])[0]).ok(t)
			c.Wait()
			if got := c.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("status %d, want %d; %v", got, tt.code, c.ProcessState)
			}
			r := readRecord(t, file)
			if r.Cause != "killed" || r.Exit == nil || tt.signal != "" && (r.Exit.Signal == nil || *r.Exit.Signal != tt.signal) {
				t.Errorf("record: %+v", r)
			}
		})
	}
}

// TestTermFromOthers: a SIGTERM that does not come from the manager is just handed on, to the main process alone.
func TestTermFromOthers(t *testing.T) {
	asUser(t)
	file := filepath.Join(t.TempDir(), "record")
	c := command(t, supervise("--record", file, "--", "sh", "-c", `trap "exit 3" TERM; echo ready; sleep `+sleeper+` & wait`)...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 6))
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	if got := c.ProcessState.ExitCode(); got != 3 {
		t.Errorf("status %d", got)
	}
	if r := readRecord(t, file); r.Cause != "exited" {
		t.Errorf("cause %s", r.Cause)
	}
}
