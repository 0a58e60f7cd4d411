// Package integration drives the built supervise binary on real and hostile programs, as root and as an ordinary user.
//
// It imports nothing of the project. Every test runs in a box (harness_test.go): a cgroup of its own where there is one to be
// had, a deadline that kills whatever the test started, and checks that no process, cgroup or descriptor is left.
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
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
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
	dir, cleanup, err := binaries()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		return 1
	}
	defer cleanup()
	bin.supervise = filepath.Join(dir, "supervise")
	bin.adversary = filepath.Join(dir, "adversary")

	// Whatever escapes supervise is re-parented to this process, where the checks find it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "integration: becoming a subreaper:", err)
		return 1
	}
	warmUp()
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

// warmUp makes the runtime open what it keeps open (epoll, eventfd), so that it is not taken for a leak.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// binaries returns the directory of the programs: the prebuilt one, or a fresh one.
func binaries() (dir string, cleanup func(), err error) {
	if dir := os.Getenv("SUPERVISE_TEST_BIN"); dir != "" {
		dir, err := filepath.Abs(dir)
		return dir, func() {}, err
	}
	dir, err = os.MkdirTemp("", "supervise-it-")
	if err != nil {
		return "", nil, err
	}
	cleanup = func() { os.RemoveAll(dir) }
	// Readable by the other users that some tests become.
	if err := os.Chmod(dir, 0o755); err != nil {
		cleanup()
		return "", nil, err
	}
	for name, pkg := range map[string]string{
		"supervise": "../cmd/supervise", "supervise-oci": "../cmd/supervise-oci", "adversary": "./adversary",
	} {
		if err := build(filepath.Join(dir, name), pkg); err != nil {
			cleanup()
			return "", nil, err
		}
	}
	return dir, cleanup, nil
}

func build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, msg)
	}
	return nil
}
