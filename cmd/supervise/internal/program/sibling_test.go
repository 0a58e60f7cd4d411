package program

import (
	"syscall"
	"testing"
)

// TestSilentEnd: a sibling that says nothing is told of by its status, if that is known.
func TestSilentEnd(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3": " ended without a word, with status 3", "kill -TERM $$": " was ended by signal 15",
	} {
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		s := &Sibling{name: "sh", pid: pid}
		if got := s.silentEnd(); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
		if got := s.silentEnd(); got != " ended without a word" {
			t.Errorf("%s, reaped by another: %q", script, got)
		}
	}
}
