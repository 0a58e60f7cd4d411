package client

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"golang.org/x/sys/unix"
)

// patience is how long the tests wait for what must happen; machines are slow.
const patience = 2 * time.Minute

// supervise is the program, as of SUPERVISE_TEST_BIN or fresh.
var supervise string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	switch os.Getenv("SUPERVISE_TEST_HELPER") {
	case "owner":
		return helperOwner() // we are a child of TestOwnerKilled
	case "interrupted":
		return helperInterrupted() // we are a child of TestCtrlC
	}
	return testbed.Run("client", func(dir string) int { return runIn(dir, m) })
}

// runIn runs the tests with the program of a directory, and looks at the end that nothing is left: no goroutine, process or
// descriptor.
func runIn(dir string, m *testing.M) int {
	supervise = filepath.Join(dir, "supervise")
	os.Setenv(BinEnv, supervise)
	// What escapes a supervisor is re-parented to us.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	warmUp()
	before := descriptors()
	code := m.Run()
	for what, left := range map[string]func() string{
		"goroutines":  goroutines,
		"processes":   children,
		"descriptors": func() string { return more(before, descriptors()) },
	} {
		if l := settled(left); l != "" {
			fmt.Fprintf(os.Stderr, "%s left:\n%s\n", what, l)
			code = max(code, 1)
		}
	}
	return code
}

// warmUp has the runtime open what it keeps.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	exec.Command("true").Run()
}

// settled asks until there is nothing, or too long; what has been told to end ends.
func settled(left func() string) string {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		if l := left(); l == "" || time.Now().After(end) {
			return l
		}
	}
}

// goroutines are those of this package, without the one that asks.
func goroutines() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, g := range bytes.Split(stacks, []byte("\n\n")) {
		if i > 0 && bytes.Contains(g, []byte("protocol/client.")) {
			left = append(left, string(g))
		}
	}
	return strings.Join(left, "\n\n")
}

func descriptors() map[string]string {
	fds := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[e.Name()] = target
		}
	}
	return fds
}

func more(before, after map[string]string) string {
	var left []string
	for fd, target := range after {
		if before[fd] == "" {
			left = append(left, fd+" "+target)
		}
	}
	return strings.Join(left, "\n")
}

// children reaps those that have ended, and tells what is left.
func children() string {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.ECHILD {
			return ""
		}
		if pid <= 0 {
			list, _ := filepath.Glob("/proc/self/task/*/children")
			var pids []string
			for _, f := range list {
				b, _ := os.ReadFile(f)
				pids = append(pids, string(b))
			}
			return strings.Join(pids, " ")
		}
	}
}
