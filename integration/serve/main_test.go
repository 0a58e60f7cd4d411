// Package serve talks with the built `supervise serve` as its owners do: it replays the conformance script, and tests what a
// script cannot say: descriptors, owners that do not read, and all the ways to end.
//
// It imports nothing of the project. Every server runs in a box (box_test.go), at the end of which no process, cgroup or
// descriptor may be left. Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`, for users without a compiler
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in integration/serve/
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package serve

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for what should come at once; it is for slow machines.
const patience = 60 * time.Second

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	// Whatever escapes is re-parented to this process, where the checks find it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "serve: becoming a subreaper:", err)
		return 1
	}
	dir, err := filepath.Abs(os.Getenv("SUPERVISE_TEST_BIN"))
	if os.Getenv("SUPERVISE_TEST_BIN") == "" {
		dir, err = os.MkdirTemp("", "supervise-serve-")
		defer os.RemoveAll(dir)
		if err == nil {
			err = build(dir)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		return 1
	}
	supervise = filepath.Join(dir, "supervise")
	warmUp()
	group, noGroup = newRunGroup()
	code := m.Run()
	if noGroup == nil {
		if err := os.Remove(group); err != nil {
			fmt.Fprintln(os.Stderr, "serve: the run's cgroup is not empty at the end:", err)
			code = max(code, 1)
		}
	}
	return code
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../../cmd/supervise")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, msg)
	}
	return os.Chmod(dir, 0o755)
}

// warmUp makes the runtime open what it keeps open (epoll, eventfd), so that it is not taken for a leak.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// module is where the sources are.
func module(elem ...string) string {
	return filepath.Join(append([]string{cmp.Or(os.Getenv("SUPERVISE_TEST_SRC"), "../..")}, elem...)...)
}

// need skips the test if a probe failed. Where CI promises all features a skip is a failure.
func need(t *testing.T, what string, probe error) {
	t.Helper()
	switch {
	case probe == nil:
	case os.Getenv("SUPERVISE_CI") != "":
		t.Fatalf("need %s, and CI promises it: %v", what, probe)
	default:
		t.Skipf("need %s: %v", what, probe)
	}
}

// containment is the value of --contain, and the name of the subtest.
type containment string

const (
	inCgroup    containment = "cgroup"
	inSubreaper containment = "subreaper"
)

// forEachContainment runs a test once in each containment.
func forEachContainment(t *testing.T, test func(t *testing.T, c containment)) {
	t.Run(string(inCgroup), func(t *testing.T) {
		need(t, "a cgroup of our own", noGroup)
		test(t, inCgroup)
	})
	t.Run(string(inSubreaper), func(t *testing.T) { test(t, inSubreaper) })
}
