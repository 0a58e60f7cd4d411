// Package agents has the examples of tools for a model, in Python and in Node, run hostile commands for a hundred turns, in a cgroup
// and without one. After each turn nothing of it is alive.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise` and `adversary`
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package agents

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the programs.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "agents", &bin) }
