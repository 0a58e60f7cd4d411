package program

import (
	"errors"
	"os"
	"path/filepath"
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

// TestFindSibling: beside the program, then in libexec; PATH is for ordinary users, as far
// as it names directories from the root on.
func TestFindSibling(t *testing.T) {
	top := t.TempDir()
	put := func(dir string) {
		dir = filepath.Join(top, dir)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/sibling", nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	put("path")
	t.Chdir(filepath.Join(top, "path"))
	exe := filepath.Join(top, "bin/supervise")
	tests := []struct {
		put  string // before the search
		path string
		euid int
		want string // "": an error
	}{
		{"", ":.:../path:" + top + "/path", 1000, "path"},
		{"", ":.:../path", 1000, ""},
		{"", ":.:../path:" + top + "/path", 0, ""},
		{"libexec/supervise", top + "/path", 0, "libexec/supervise"},
		{"bin", top + "/path", 0, "bin"},
		{"", top + "/path", 1000, "bin"},
	}
	for _, tt := range tests {
		if tt.put != "" {
			put(tt.put)
		}
		t.Setenv("PATH", tt.path)
		got, err := findSibling("sibling", exe, tt.euid)
		if tt.want == "" && err == nil || tt.want != "" && got != filepath.Join(top, tt.want, "sibling") {
			t.Errorf("%+v: got %s, %v", tt, got, err)
		}
	}
	// Where the program lies is not known: it is not looked for in the current directory.
	if got, err := findSibling("sibling", "", 0); err == nil {
		t.Errorf("found %s", got)
	}
}
