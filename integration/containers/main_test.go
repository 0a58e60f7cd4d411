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
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	return testbed.Run("containers", func(dir string) int {
		supervise = filepath.Join(dir, "supervise")
		return m.Run()
	})
}
