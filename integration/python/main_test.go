// Package python runs the tests of contrib/python with the built supervise binary, under every Python that there is, in a
// cgroup and without one; and checks its types, and that it is built and installed where there is no network.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package python

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := filepath.Abs(os.Getenv("SUPERVISE_TEST_BIN"))
	if os.Getenv("SUPERVISE_TEST_BIN") == "" {
		dir, err = os.MkdirTemp("", "supervise-python-")
		defer os.RemoveAll(dir)
		if err == nil {
			err = build(dir)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "python:", err)
		return 1
	}
	bin = dir
	return m.Run()
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../../cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, msg)
	}
	return nil
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
