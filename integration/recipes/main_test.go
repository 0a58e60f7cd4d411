// Package recipes runs the recipes of contrib/recipes, as their pages have them: the real program (make, cron, sshd) runs a
// command that leaves a daemon. With a stand-in for supervise that only executes the command, the daemon is alive afterwards.
// With supervise, in a cgroup and without one, it is gone.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
//	PATH                act and buildkite-agent are used where they are there; CI does not have them
package recipes

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "recipes", &bin) }
