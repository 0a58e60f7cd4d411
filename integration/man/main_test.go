// Package man holds the manual pages against mandoc, and against the built supervise binary. That they have every flag and
// every field is tested beside these.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in their own directory
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package man

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the program under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "man", &bin) }
