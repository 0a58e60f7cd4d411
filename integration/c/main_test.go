// Package c builds contrib/c, the C library, and runs its tests with the built supervise, in a cgroup and in the fallback; then
// installs it, and compiles a program with what was installed. It tries contrib/unlinkwait as well.
//
// It imports nothing of the project but testbed. Environment:
//
//	SUPERVISE_TEST_BIN  directory with a prebuilt `supervise`
//	SUPERVISE_TEST_SRC  the module, where the tests do not run in integration/c/
//	SUPERVISE_CI        set where every feature is promised: a test that would skip fails instead
package c

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long make may take.
const patience = 5 * time.Minute

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	return testbed.Run("c", func(dir string) int {
		supervise = filepath.Join(dir, "supervise")
		return m.Run()
	})
}

func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		testbed.Program(t, name)
	}
}

// sources is a copy of contrib/c, where it may be built, beside one of contrib/unlinkwait.
func sources(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	for _, name := range []string{"c", "unlinkwait"} {
		if err := os.CopyFS(filepath.Join(top, name), os.DirFS(testbed.Source("contrib", name))); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(top, "c")
	if err := os.RemoveAll(filepath.Join(dir, "build")); err != nil { // somebody's own
		t.Fatal(err)
	}
	return dir
}

// command is a program that runs in dir, and is killed with its process group at the deadline.
func command(t *testing.T, dir string, argv ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SUPERVISE_BIN="+supervise)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs a command and returns what it writes; it must succeed.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}
