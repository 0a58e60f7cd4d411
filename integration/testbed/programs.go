// Package testbed is what the packages of integration share: where the programs under test are, and the cgroups of tests.
package testbed

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const modulePath = "github.com/seed-c1490a04/supervise"

// Main is the TestMain of a package that needs nothing but the directory of the programs: see Run.
func Main(m *testing.M, name string, dir *string) {
	os.Exit(Run(name, func(programs string) int {
		*dir = programs
		return m.Run()
	}))
}

// Run runs a package's tests with the directory of the programs: SUPERVISE_TEST_BIN, or a new one in which they are built, and
// which goes at the end. Name is the package's, for what goes wrong before there is a test. It returns the exit status. Go test
// keeps no such run in its cache.
func Run(name string, tests func(dir string) int) int {
	dir := os.Getenv("SUPERVISE_TEST_BIN")
	var err error
	if dir != "" {
		dir, err = filepath.Abs(dir)
	} else if dir, err = os.MkdirTemp("", "supervise-"+name+"-"); err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	defer Forget()
	return tests(dir)
}

// Forget has go test run the tests again next time, whatever has not changed: it knows of no program that a test runs, nor of
// the machine. It caches a run only with the log of the files and variables that the tests have looked at. (To look at the
// sources here would not do: the log begins in testing.M.Run.) It is for the end of TestMain.
func Forget() {
	if log := flag.Lookup("test.testlogfile"); log != nil && log.Value.String() != "" {
		os.Remove(log.Value.String())
	}
}

// build builds all programs into a directory that the other users see whom some tests become.
func build(dir string) error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir, modulePath+"/cmd/...", modulePath+"/integration/adversary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, msg)
	}
	return os.Chmod(dir, 0o755)
}

// Program returns the path of a program of this machine. Where it is not installed it skips the test: see Need.
func Program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	Need(t, name, err)
	return path
}

// NeedHang skips the test where the program adversary cannot make a process hang, for want of FUSE. Beside it is supervise.
func NeedHang(t *testing.T, adversary string) {
	t.Helper()
	alone := filepath.Join(filepath.Dir(adversary), "supervise") // else what it leaves would be the test's
	msg, err := exec.Command(alone, "run", "--contain=subreaper", "--", adversary, "hang", "-count=0").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, msg)
	}
	Need(t, "FUSE in a mount namespace", err)
}

// NeedMemoryLimit skips the test where no job can have a limit of memory: there is no such controller beside those of cgroup v1. The
// guest of integration/vm has it. In dir is supervise.
func NeedMemoryLimit(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(dir, "supervise"), "run", "--memory-max=64M", "--", "true").CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("SUPERVISE_BED") == "vm":
		t.Fatalf("the guest should have limits of memory: %s", out)
	default:
		t.Skipf("no limit of memory here; integration/test vm has it: %s", out)
	}
}

// ReadSlack is a command that prints the timer slack of a process that it starts, in nanoseconds.
const ReadSlack = "cat /proc/self/timerslack_ns"

// TimerSlack is what ReadSlack prints of processes of the test's.
func TimerSlack(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", ReadSlack).Output()
	Need(t, "/proc/self/timerslack_ns", err)
	return strings.TrimSpace(string(out))
}

// WarmUp makes the runtime open what it keeps open (epoll, eventfd), so that it is not taken for a leak.
func WarmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// Source is a path in the module, for a package two levels below its top: SUPERVISE_TEST_SRC names the module where the
// tests do not run in their own directory.
func Source(elem ...string) string {
	return filepath.Join(append([]string{cmp.Or(os.Getenv("SUPERVISE_TEST_SRC"), "../..")}, elem...)...)
}

// Need skips the test if the probe of a feature failed. Where CI promises all features (SUPERVISE_CI) a skip is a failure.
func Need(t *testing.T, feature string, probe error) {
	t.Helper()
	switch {
	case probe == nil:
	case os.Getenv("SUPERVISE_CI") != "":
		t.Fatalf("need %s, and CI promises it: %v", feature, probe)
	default:
		t.Skipf("need %s: %v", feature, probe)
	}
}
