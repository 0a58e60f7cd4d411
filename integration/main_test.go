// Package integration drives the built supervise binary on real and hostile programs, as root and as an ordinary user.
//
// It imports nothing of the project but testbed. Every test runs in a box (harness_test.go): a cgroup of its own where there is
// one to be had, a deadline that kills whatever the test started, and checks that no process, cgroup or descriptor is left.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with prebuilt `supervise` and `adversary`, for users without a compiler
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in integration/
//	SUPERVISE_TEST_SEED what the log of a failed random test says
//	SUPERVISE_BED       set inside integration/bed (systemd) and integration/vm (vm)
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin holds the programs under test; runGroup is the cgroup of the whole test run, or nil, and then noGroup says why.
var (
	bin struct {
		supervise string
		adversary string
	}
	runGroup *group
	noGroup  error
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	return testbed.Run("integration", func(dir string) int { return runIn(dir, m) })
}

// runIn runs the tests with the programs of a directory.
func runIn(dir string, m *testing.M) int {
	bin.supervise = filepath.Join(dir, "supervise")
	bin.adversary = filepath.Join(dir, "adversary")

	// Whatever escapes supervise is re-parented to this process, where the checks find it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "integration: becoming a subreaper:", err)
		return 1
	}
	testbed.WarmUp()
	runGroup, noGroup = newRunGroup()
	code := m.Run()
	if runGroup != nil {
		if err := runGroup.destroy(); err != nil {
			fmt.Fprintln(os.Stderr, "integration: the run's cgroup is not empty at the end:", err)
			code = max(code, 1)
		}
	}
	return code
}
