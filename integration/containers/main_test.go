// Package containers runs the built supervise binary inside containers and sandboxes, where cgroups are there, read-only,
// somebody else's or not at all, and looks at the record and at what is left.
//
// The tests of podman need a bed with systemd and a root file system, and run as its ordinary user:
//
//	go test -exec 'integration/bed --user --' ./integration/containers
//
// Those of bwrap and unshare run anywhere. Environment:
//
//	SUPERVISE_TEST_BIN  directory with prebuilt `supervise` and `supervise-scope`
//	SUPERVISE_BED       set in a bed (`systemd`, `vm`): everything is there, and a test that would skip fails
package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := filepath.Abs(os.Getenv("SUPERVISE_TEST_BIN"))
	if os.Getenv("SUPERVISE_TEST_BIN") == "" {
		dir, err = os.MkdirTemp("", "supervise-containers-")
		defer os.RemoveAll(dir)
		if err == nil {
			err = build(dir)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		return 1
	}
	supervise = filepath.Join(dir, "supervise")
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
