// Package python runs the tests of contrib/python with the built supervise binary, under every Python that there is, in a
// cgroup and without one; and checks its types, and that it is built and installed where there is no network.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package python

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "python", &bin) }
