// Package load has the built `supervise serve` run many jobs, with many owners, faults and sudden deaths, and wants every event
// in its order, flat memory, and nothing left.
//
// It imports nothing of the project. Short mode takes small numbers. Environment: SUPERVISE_TEST_BIN is a directory with a
// prebuilt `supervise`, SUPERVISE_TEST_SRC the module, where the tests do not run in integration/load/; SUPERVISE_BED is set in
// a bed, and SUPERVISE_CI where a skip is a failure.
package load

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for what should come soon.
const patience = 60 * time.Second

// supervise is the program under test.
var supervise string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	// Whatever escapes is re-parented to this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	dir := os.Getenv("SUPERVISE_TEST_BIN")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "supervise-load-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o755) // a server runs as another user
		build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../../cmd/...")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building: %v\n%s", err, out)
			return 1
		}
	}
	supervise = filepath.Join(dir, "supervise")
	return m.Run()
}

// module is where the sources are.
func module(elem ...string) string {
	return filepath.Join(append([]string{cmp.Or(os.Getenv("SUPERVISE_TEST_SRC"), "../..")}, elem...)...)
}

// scaled is a number of the full test, or of the short one.
func scaled(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}

// need skips the test if a probe failed.
func need(t *testing.T, what string, probe error) {
	t.Helper()
	switch {
	case probe == nil:
	case os.Getenv("SUPERVISE_CI") != "":
		t.Fatalf("need %s, and CI promises it: %v", what, probe)
	default:
		t.Skipf("need %s: %v", what, probe)
	}
}

// newGround makes a cgroup for the servers of one test; at its end nobody may be in it, and no directory below it but the one
// in which a supervisor that was alone has waited.
func newGround(t *testing.T) string {
	t.Helper()
	dir, err := ownCgroup()
	if err == nil {
		dir = filepath.Join(dir, fmt.Sprintf("load-%d-%d", os.Getpid(), time.Now().UnixNano()))
		err = os.Mkdir(dir, 0o755)
	}
	need(t, "a cgroup of our own", err)
	t.Cleanup(func() {
		eventually(t, "the end of all", func() error { return nobodyIn(dir) })
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		dirs := below(dir)
		for i := len(dirs) - 1; i >= 0; i-- {
			os.Remove(dirs[i])
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// nobodyIn wants no process in a cgroup, and no sessions below it.
func nobodyIn(dir string) error {
	reap()
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	if err != nil || !strings.Contains(string(b), "populated 0") {
		return fmt.Errorf("%s: %q, %w", dir, b, err)
	}
	for _, d := range below(dir) {
		if filepath.Base(d) != "supervisor" {
			return fmt.Errorf("%s is left", d)
		}
	}
	return nil
}

// reap waits for what was re-parented to us.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}

func below(dir string) (dirs []string) {
	filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() && path != dir {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

// ownCgroup is where we are, in the cgroup2 mount that shows all of it.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	_, path, _ := strings.Cut("\n"+string(own), "\n0::")
	path, _, _ = strings.Cut(path, "\n")
	for line := range strings.Lines(string(mounts)) {
		head, tail, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(head); strings.HasPrefix(tail, "cgroup2 ") && fields[3] == "/" {
			return filepath.Join(fields[4], path), nil
		}
	}
	return "", fmt.Errorf("no cgroup2 mount in /proc/self/mountinfo")
}

// eventually polls for what gives no event.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
	}
}
