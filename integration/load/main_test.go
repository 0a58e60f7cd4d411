// Package load has the built `supervise serve` run many jobs, with many owners, faults and sudden deaths, and wants every event
// in its order, flat memory, and nothing left.
//
// It imports nothing of the project but testbed. Short mode takes small numbers. Environment: SUPERVISE_TEST_BIN is a directory
// with a prebuilt `supervise`, SUPERVISE_TEST_SRC the module, where the tests do not run in integration/load/; SUPERVISE_BED is
// set in a bed, and SUPERVISE_CI where a skip is a failure.
package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience bounds every wait for what should come soon.
const patience = 60 * time.Second

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	// Whatever escapes is re-parented to this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	return testbed.Run("load", func(dir string) int {
		supervise = filepath.Join(dir, "supervise")
		return m.Run()
	})
}

// scaled is a number of the full test, or of the short one.
func scaled(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}

// newGround makes a cgroup for the servers of one test; at its end nobody may be in it, and no directory below it but the one
// in which a supervisor that was alone has waited.
func newGround(t *testing.T) string {
	t.Helper()
	dir, err := testbed.Ground()
	if err == nil {
		dir = filepath.Join(dir, fmt.Sprintf("load-%d-%d", os.Getpid(), time.Now().UnixNano()))
		err = os.Mkdir(dir, 0o755)
	}
	testbed.Need(t, "a cgroup of our own", err)
	t.Cleanup(func() {
		testbed.Eventually(t, patience, "the end of all", func() error { return nobodyIn(dir) })
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		dirs := testbed.Below(dir)
		for i := len(dirs) - 1; i >= 0; i-- {
			os.Remove(dirs[i])
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// nobodyIn wants no process in a cgroup, and no sessions below it.
func nobodyIn(dir string) error {
	reap()
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	if err != nil || !strings.Contains(string(b), "populated 0") {
		return fmt.Errorf("%s: %q, %w", dir, b, err)
	}
	for _, d := range testbed.Below(dir) {
		if filepath.Base(d) != "supervisor" {
			return fmt.Errorf("%s is left", d)
		}
	}
	return nil
}

// reap waits for what was re-parented to us.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}
