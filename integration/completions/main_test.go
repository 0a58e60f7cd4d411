// Package completions asks bash, zsh and fish what they make of a command line with the files of contrib/completions and the
// built supervise binary.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in their own directory
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package completions

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "completions", &bin) }
