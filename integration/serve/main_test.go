// Package serve talks with the built `supervise serve` as its owners do: it replays the conformance script, and tests what a
// script cannot say: descriptors, owners that do not read, and all the ways to end.
//
// It imports nothing of the project but testbed. Every server runs in a box (box_test.go), at the end of which no process,
// cgroup or descriptor may be left. Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`, for users without a compiler
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in integration/serve/
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
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
	return testbed.Run("serve", func(dir string) int { return runIn(dir, m) })
}

// runIn runs the tests with the programs of a directory.
func runIn(dir string, m *testing.M) int {
	supervise = filepath.Join(dir, "supervise")
	testbed.WarmUp()
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

// containment is the value of --contain, and the name of the subtest.
type containment string

const (
	inCgroup    containment = "cgroup"
	inSubreaper containment = "subreaper"
)

// forEachContainment runs a test once in each containment.
func forEachContainment(t *testing.T, test func(t *testing.T, c containment)) {
	t.Run(string(inCgroup), func(t *testing.T) {
		testbed.Need(t, "a cgroup of our own", noGroup)
		test(t, inCgroup)
	})
	t.Run(string(inSubreaper), func(t *testing.T) { test(t, inSubreaper) })
}
