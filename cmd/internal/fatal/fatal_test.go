//go:build amd64 || arm64

package fatal

import (
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

// The environment turns the test binary into a program that comes to an end of one kind.
const endEnv = "FATAL_TEST_END"

func init() {
	switch os.Getenv(endEnv) {
	case "":
		return
	case "threads":
		debug.SetMaxThreads(1)
	case "stack":
		debug.SetMaxStack(1 << 16)
		os.Exit(deep(0))
	case "nil":
		var nowhere *int
		os.Exit(*nowhere)
	case "usage":
		os.Exit(2)
	}
	os.Exit(99)
}

func deep(n int) int {
	if n < 0 {
		return n
	}
	return deep(n+1) + 1
}

// TestEnd: what is short is said in one line; a fault of the program is told whole; an exit is what it was.
func TestEnd(t *testing.T) {
	for end, want := range map[string]struct {
		status int
		begin  string
		lines  int // at least; one is one
	}{
		"threads": {125, "supervise: no thread can be started", 1},
		"stack":   {125, "runtime: goroutine stack exceeds", 10},
		"nil":     {125, "panic: runtime error: invalid memory address", 5},
		"usage":   {2, "", 0},
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), endEnv+"="+end)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		lines := strings.Count(stderr.String(), "\n")
		if !errors.As(err, &exit) || exit.ExitCode() != want.status || !strings.HasPrefix(stderr.String(), want.begin) ||
			lines < want.lines || want.lines < 2 && lines != want.lines {
			t.Errorf("%s: %v, %q", end, err, stderr.String())
		}
	}
}

// TestWords: each is found in what the runtime says, and in no other line than the first.
func TestWords(t *testing.T) {
	for line, want := range map[string]string{
		"runtime: failed to create new OS thread (have 2 already; errno=11)\nfatal error: newosproc\n": noThread,
		"fatal error: failed to reserve page summary memory\n":                                         noMemory,
		"fatal error: out of memory allocating heap arena map\n":                                       noMemory,
		"runtime: eventfd failed with 24\n":                                                            noDescriptor,
		"fatal error: concurrent map writes\nmemory\n":                                                 "",
		"runtime error: invalid memory address or nil pointer dereference\n":                           "",
		"fatal error: all goroutines are asleep - deadlock!\n":                                         "",
	} {
		said = uint64(copy(text[:], line))
		w := shortage()
		said = 0
		if got := w != nil; got != (want != "") || got && !strings.HasPrefix(w.message, want) {
			t.Errorf("%q is %v", line, w)
		}
	}
}
