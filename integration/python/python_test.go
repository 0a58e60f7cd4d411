package python

import (
	"context"
	"errors"
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
const deadline = 5 * time.Minute

// oldest and newest are the minor versions of Python 3 that are looked for.
const oldest, newest = 8, 20

// sources is a copy of the package that may be written to.
func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../contrib/python")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program in a directory with supervise on PATH, and returns its output. It fails the test if the program fails.
func run(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 10 * time.Second // who inherited its output does not hold us up
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// An interpreter is one of Python.
type interpreter struct{ version, path string }

// interpreters finds the one that is called python3 first, then, unless the tests are to be short, one of each version.
func interpreters(t *testing.T) []interpreter {
	t.Helper()
	names := []string{"python3"}
	for minor := oldest; minor <= newest && !testing.Short(); minor++ {
		names = append(names, fmt.Sprintf("python3.%d", minor))
	}
	var found []interpreter
	seen := map[string]bool{}
	everyPyenv := append(os.Environ(), pyenv()...)
	env := os.Environ()
	for _, name := range names {
		cmd := exec.Command(name, "-c", version)
		cmd.Env = env
		out, err := cmd.Output() // it may be too old, or a name of pyenv's without the program
		number, path, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
		if err == nil && ok && !seen[number] {
			seen[number] = true
			found = append(found, interpreter{number, path})
		}
		env = everyPyenv // the first was the one that the user has chosen
	}
	if len(found) == 0 {
		testbed.Need(t, "python3", exec.ErrNotFound)
	}
	return found
}

// version is the program that tells an interpreter's.
var version = fmt.Sprintf(`import sys
if sys.version_info < (3, %d): sys.exit(1)
print("%%d.%%d" %% sys.version_info[:2], sys.executable)`, oldest)

// pyenv is the environment in which the programs of pyenv run in all versions that it has.
func pyenv() []string {
	out, err := exec.Command("pyenv", "versions", "--bare").Output()
	if err != nil {
		return nil
	}
	return []string{"PYENV_VERSION=" + strings.Join(strings.Fields(string(out)), ":")}
}

// A bed is a place for the tests: with a cgroup, or without.
type bed struct {
	name     string
	wrap     func(dir string) []string // the beginning of the command line
	expected func() string             // what containment the tests are to find there; "": it is not known
}

const readOnlyBed = "read-only cgroups"

var beds = []bed{
	{"as it is", func(string) []string { return nil }, containment},
	{readOnlyBed, readOnly, func() string { return "subreaper" }},
}

// readOnly is a sandbox in which all of /sys, cgroups included, is read-only, as in a container.
func readOnly(dir string) []string {
	return []string{"bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", dir, dir, "--"}
}

// containment is what supervise without arguments gives here. Where systemd has to be asked for a scope, that may be either
// at any one moment.
func containment() string {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return ""
	}
	if exec.Command(filepath.Join(bin, "supervise"), "run", "--contain=cgroup", "--", "true").Run() == nil {
		return "cgroup"
	}
	return "subreaper"
}

func TestSuite(t *testing.T) {
	protocol, err := filepath.Abs("../../protocol")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(protocol, "testdata", "conformance.jsonl")
	for _, python := range interpreters(t) {
		for _, b := range beds {
			if testing.Short() && os.Geteuid() != 0 && b.name == readOnlyBed {
				continue // root's run has it
			}
			t.Run(python.version+"/"+b.name, func(t *testing.T) {
				t.Parallel() // the tests wait most of the time
				dir := sources(t)
				if testing.Short() && (os.Geteuid() != 0 || b.name == readOnlyBed) {
					leaveOut(t, dir, "test_testing.py", "test_examples.py") // root's run has them, and they are the same in any place
				}
				begin := b.wrap(dir)
				if begin != nil {
					testbed.Need(t, begin[0], probe(begin...))
				}
				argv := append(begin, python.path, "-W", "error::ResourceWarning", "-m", "unittest")
				env := []string{"SUPERVISE_CONTAINMENT=" + b.expected(), "TMPDIR=" + dir}
				env = append(env, "SUPERVISE_CONFORMANCE="+script, "SUPERVISE_SCHEMAS="+protocol)
				out := run(t, dir, env, argv...)
				t.Log(lastLines(out))
			})
		}
	}
}

// leaveOut removes tests from a copy of the package.
func leaveOut(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, "tests", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// probe says why a sandbox does not work here.
func probe(begin ...string) error {
	out, err := exec.Command(begin[0], append(begin[1:], "true")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// lastLines is what unittest says in the end: how many tests there were, and how many were skipped.
func lastLines(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " ")
}

func TestTypes(t *testing.T) {
	path := testbed.Program(t, "mypy")
	run(t, sources(t), nil, path, "--strict", "--cache-dir=.cache")
}

// TestPackages builds wheel and sdist, and installs both, without a package index.
func TestPackages(t *testing.T) {
	for _, python := range interpreters(t) {
		t.Run(python.version, func(t *testing.T) {
			dir := sources(t)
			testbed.Need(t, "ensurepip (Debian: python3-venv)", probe(python.path, "-c", "import ensurepip", "--"))
			run(t, dir, nil, python.path, "-m", "venv", "venv")
			inVenv := filepath.Join(dir, "venv", "bin", "python")
			pip := []string{inVenv, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"}
			offline := []string{"--no-index", "--no-deps", "--no-build-isolation"}

			run(t, dir, nil, append(append(append(pip, "wheel"), offline...), "--wheel-dir", "out", ".")...)
			run(t, dir, nil, inVenv, "-c", "import build_backend; build_backend.build_sdist('out')")
			for _, pattern := range []string{"*.whl", "*.tar.gz"} {
				file := only(t, filepath.Join(dir, "out", pattern))
				run(t, dir, nil, append(append(append(pip, "install"), offline...), "--force-reinstall", file)...)
				checkInstalled(t, filepath.Join(dir, "out"), inVenv)
				run(t, dir, nil, append(pip, "uninstall", "--yes", "supervise_api")...)
			}
		})
	}
}

func only(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) != 1 {
		err = errors.New("want one")
	}
	if err != nil {
		t.Fatalf("%s: %q: %v", pattern, files, err)
	}
	return files[0]
}

// checkInstalled uses the installed package: all of it is there, and it works.
func checkInstalled(t *testing.T, dir, python string) {
	t.Helper()
	const program = `if True:
		import os, supervise_api
		place = os.path.dirname(supervise_api.__file__)
		assert "site-packages" in place, place
		assert os.path.exists(os.path.join(place, "py.typed"))
		with supervise_api.Process(["sh", "-c", "exit 3"]) as process:
			print(process.wait().exit_status)
	`
	if out := run(t, dir, nil, python, "-c", program); out != "3\n" {
		t.Errorf("the installed package says %q", out)
	}
}
