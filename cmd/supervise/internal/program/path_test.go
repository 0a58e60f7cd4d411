package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// program writes a file that is executable, or not.
func program(t *testing.T, mode os.FileMode, elem ...string) {
	t.Helper()
	file := filepath.Join(elem...)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func TestLookPath(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	for _, dir := range []string{"a", "b", "a/dir"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program(t, 0o755, base, "here")
	program(t, 0o755, a, "both")
	program(t, 0o755, b, "both")
	program(t, 0o644, a, "later")
	program(t, 0o755, b, "later")
	program(t, 0o644, a, "plain")
	program(t, 0o755, b, "dir")
	if err := os.Symlink("nowhere", filepath.Join(a, "dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../b/both", filepath.Join(a, "link")); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name, path, arg string
		want            string
		err             error
	}{
		{"first", a + ":" + b, "both", a + "/both", nil},
		{"second", b + ":" + a, "both", b + "/both", nil},
		{"not found", a + ":" + b, "nosuch", "", unix.ENOENT},
		{"not executable", a + ":" + b, "plain", "", unix.EACCES},
		{"not executable, not there", a + ":" + b + ":" + base, "plain", "", unix.EACCES},
		{"not executable, but later", a + ":" + b, "later", b + "/later", nil},
		{"directory", a, "dir", "", unix.EACCES},
		{"directory, but later", a + ":" + b, "dir", b + "/dir", nil},
		{"symbolic link", a, "link", a + "/link", nil},
		{"dangling link", a, "dangling", "", unix.ENOENT},
		{"empty element in front", ":" + a, "here", "./here", nil},
		{"empty element between", a + "::" + b, "here", "./here", nil},
		{"empty element behind", a + ":", "here", "./here", nil},
		{"empty PATH", "", "here", "./here", nil},
		{"relative element", "a", "both", "a/both", nil},
		{"element that is a file", base + "/here:" + b, "both", b + "/both", nil},
		{"element that is missing", base + "/nosuch:" + b, "both", b + "/both", nil},
		{"slash", b, "a/both", "a/both", nil},
		{"slash, absolute", "", a + "/both", a + "/both", nil},
		{"slash, here", a, "./here", "./here", nil},
		{"slash, not in PATH", a, "dir/both", "", unix.ENOENT},
		{"slash, not found", a, "./nosuch", "", unix.ENOENT},
		{"slash, not executable", b, "a/plain", "", unix.EACCES},
		{"slash, directory", b, "a/dir", "", unix.EACCES},
		{"slash behind", b, "a/both/", "", unix.ENOTDIR},
		{"slash, no directory", b, "a/both/x", "", unix.ENOTDIR},
		{"too long", a, strings.Repeat("x", 256), "", unix.ENOENT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PATH", tt.path)
			got, err := LookPath(tt.arg)
			if err != tt.err || err == nil && got != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestLookPathUnset(t *testing.T) {
	t.Setenv("PATH", "") // has it restored
	os.Unsetenv("PATH")
	if got, err := LookPath("sh"); err != nil || got != "/bin/sh" && got != "/usr/bin/sh" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := LookPath("no such program"); err != unix.ENOENT {
		t.Errorf("got %q, %v", got, err)
	}
}
