// Package report holds what supervise-report makes against jobs that supervise has run, and looks at its pages in a real
// browser: headless Chromium.
//
// Environment:
//
//	SUPERVISE_TEST_BIN  directory with prebuilt programs
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in their own directory
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// bin is the directory of the programs under test.
var bin string

func TestMain(m *testing.M) { testbed.Main(m, "report", &bin) }

// data is a file of the unit tests' records.
func data(name string) string {
	file, err := filepath.Abs(testbed.Source("cmd", "supervise-report", "testdata", name))
	if err != nil {
		panic(err)
	}
	return file
}

// A result is how a program ended, and what it wrote.
type result struct {
	code           int
	stdout, stderr string
	cpuSeconds     float64
}

// supervise runs a command of supervise's.
func supervise(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "supervise"), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
}

// report makes a page, and returns its file.
func report(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if r := supervise(t, "", append([]string{"report", "-o", file}, args...)...); r.code != 0 || r.stderr != "" {
		t.Fatalf("report %q: status %d: %s", args, r.code, r.stderr)
	}
	return file
}

// read is the text of a file.
func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
