// Package packaging builds the Debian packages and the static tarball of contrib/packaging, and holds them against lintian. As
// root in integration/bed and in integration/vm it installs, uses and purges the packages:
//
//	contrib/packaging/build-deb contrib/packaging/build
//	go test -count=1 -exec "$PWD/integration/bed --root --base $(integration/fresh) --" ./integration/packaging
//
// Environment:
//
//	SUPERVISE_TEST_PACKAGES  directory with packages that were built before
//	SUPERVISE_TEST_SRC       the module, where the tests do not run in their own directory
//	SUPERVISE_BED            set in a bed
//	SUPERVISE_CI             set where every feature is promised: a test that would skip fails instead
package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// built is where the packages are, if they are built here.
var built string

func TestMain(m *testing.M) {
	defer testbed.Forget()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "supervise-packages-"); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		return 1
	}
	defer os.RemoveAll(built)
	return m.Run()
}

// onHost skips a test in a bed, which has neither Go nor debhelper.
func onHost(t *testing.T) {
	if os.Getenv("SUPERVISE_BED") != "" {
		t.Skip("only outside of the beds: CI runs this test there")
	}
}

// directory returns that of the packages, which it builds where it must.
func directory(t *testing.T) string {
	t.Helper()
	switch dir := os.Getenv("SUPERVISE_TEST_PACKAGES"); {
	case dir != "":
		return dir
	case os.Getenv("SUPERVISE_BED") != "":
		return testbed.Source("contrib", "packaging", "build")
	}
	for _, program := range []string{"dh", "dh_python3", "gcc", "go"} {
		testbed.Program(t, program)
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return built
}

var build = sync.OnceValue(func() error {
	cmd := exec.Command(testbed.Source("contrib", "packaging", "build-deb"), built)
	cmd.Env = append(os.Environ(), "DEB_BUILD_OPTIONS=noautodbgsym") // which take a third of the time
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, msg)
	}
	return nil
})

// find returns the one package, or other file, that the pattern matches.
func find(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d files %s in %s, want one", len(found), pattern, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// output runs a program, which must succeed, and returns what it says.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	return said(t, exec.Command(name, args...))
}

func said(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", cmd.Args, err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// paths lists what is in a directory, as seen from there. What is mounted below it is left out.
func paths(t *testing.T, dir string, skip ...string) map[string]bool {
	t.Helper()
	list := map[string]bool{}
	device, err := deviceOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if d, err := deviceOf(path); err != nil || d != device {
				return filepath.SkipDir
			}
		}
		for _, s := range skip {
			if path == s {
				return filepath.SkipDir
			}
		}
		list[path] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
