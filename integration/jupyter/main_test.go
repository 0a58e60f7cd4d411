// Package jupyter runs the tests of contrib/jupyter, kernels with real clients, with the built supervise binary, in a cgroup and
// without one, and checks its types.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package jupyter

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "jupyter", &bin) }
