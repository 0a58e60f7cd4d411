package jupyter

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// deadline is how long one program may take.
const deadline = 3 * time.Minute

// run runs a program in a directory with supervise on PATH, and returns its output. Nothing that it starts outlives it: a kernel
// that a failed test has left would be found by the tests after it.
func run(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "supervise"), append([]string{"run", "--"}, argv...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1", "TMPDIR="+dir)
	cmd.Env = append(cmd.Env, "HOME="+dir) // where Jupyter and IPython write
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// python finds the interpreter that has these packages: the user's, or that of Debian.
func python(t *testing.T, imports string) string {
	t.Helper()
	var err error
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		var out []byte
		if out, err = exec.Command(name, "-c", "import "+imports).CombinedOutput(); err == nil {
			return name
		}
		err = fmt.Errorf("%w: %s", err, out)
	}
	testbed.Need(t, imports+" (Debian: python3-ipykernel, python3-jupyter-client)", err)
	return ""
}

// packages are those of the whole suite.
const packages = "ipykernel, jupyter_client.provisioning"

// installed makes a copy of the tests, beside both packages as they are when installed, and returns its directory.
func installed(t *testing.T, python string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"python", "jupyter"} {
		from := filepath.Join(dir, name)
		if err := os.CopyFS(from, os.DirFS(testbed.Source("contrib", name))); err != nil {
			t.Fatal(err)
		}
		const unpack = "import build_backend as b, zipfile; zipfile.ZipFile('../' + b.build_wheel('..')).extractall('..')"
		run(t, from, nil, python, "-c", unpack)
	}
	if err := os.Rename(filepath.Join(dir, "jupyter", "tests"), filepath.Join(dir, "tests")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSuite(t *testing.T) {
	python := python(t, packages)
	for _, contain := range []string{"as it is", "subreaper"} {
		t.Run(contain, func(t *testing.T) {
			t.Parallel() // the tests wait most of the time
			var env, begin []string
			dir := installed(t, python)
			if contain == "subreaper" {
				begin = []string{"bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", dir, dir, "--"}
				testbed.Need(t, "bwrap", exec.Command(begin[0], append(begin[1:], "true")...).Run())
				env = append(env, "SUPERVISE_CONTAINMENT=subreaper")
			}
			argv := append(begin, python, "-m", "unittest")
			if testing.Short() && contain == "subreaper" { // the rest is the same in any place
				for _, name := range []string{"test_restart_and_shutdown", "test_interrupt", "test_client_killed"} {
					argv = append(argv, "tests.test_kernels.TestKernels."+name)
				}
			}
			out := run(t, dir, env, argv...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			t.Log(strings.Join(lines[max(0, len(lines)-3):], " "))
		})
	}
}

// TestRealLimit: Linux ends a kernel that takes more memory than it may have, and the notebook says so. Any kernel will do, and the
// guest has no ipykernel.
func TestRealLimit(t *testing.T) {
	testbed.NeedMemoryLimit(t, bin)
	python := python(t, "jupyter_client.provisioning")
	out := run(t, installed(t, python), nil, python, "-m", "unittest", "tests.test_memory.TestMemory.test_limit")
	if !strings.HasSuffix(strings.TrimSpace(out), "\nOK") { // else it was skipped
		t.Error(out)
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	python(t, packages) // mypy is Debian's, as the packages are
	path := testbed.Program(t, "mypy")
	dir := t.TempDir()
	for _, name := range []string{"python", "jupyter"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(testbed.Source("contrib", name))); err != nil {
			t.Fatal(err)
		}
	}
	run(t, filepath.Join(dir, "jupyter"), nil, path, "--cache-dir=.cache")
}
