package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A pytest is an interpreter that has pytest, and a directory with the package as it is when installed, beside the tests to be run.
type pytest struct{ python, dir string }

// newPytest finds the user's pytest, or that of Debian.
func newPytest(t *testing.T) pytest {
	t.Helper()
	var err error
	p := pytest{dir: t.TempDir()}
	for _, p.python = range []string{"python3", "/usr/bin/python3"} {
		if err = probe(p.python, "-c", "import pytest", "--"); err == nil {
			break
		}
	}
	testbed.Need(t, "pytest (Debian: python3-pytest)", err)
	const unpack = "import sys, zipfile, build_backend as b; d = sys.argv[1]; zipfile.ZipFile(d + '/' + b.build_wheel(d)).extractall(d)"
	run(t, sources(t), nil, p.python, "-c", unpack, p.dir)
	if err := os.CopyFS(filepath.Join(p.dir, "tests"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs pytest with arguments, the whole of it as a job, in a bed. It returns what pytest says, its exit status, and the
// number of processes that it has left.
func (p pytest) run(t *testing.T, begin []string, args ...string) (out string, status int, left string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	record := filepath.Join(t.TempDir(), "record.json")
	argv := append([]string{"run", "--record", record, "--"}, begin...)
	argv = append(append(argv, p.python, "-m", "pytest", "-p", "no:cacheprovider"), args...)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "supervise"), argv...)
	cmd.Dir = filepath.Join(p.dir, "tests")
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Env = append(cmd.Env, "PYTHONPATH="+p.dir, "TMPDIR="+p.dir)
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, said)
	}
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return string(said), cmd.ProcessState.ExitCode(), regexp.MustCompile(`"leftovers_total": ?([^,}]*)`).FindStringSubmatch(string(data))[1]
}

// want is what pytest says of the sample, and of nothing else.
var want = []string{
	`PASSED test_sample.py::test_passes`,
	`FAILED test_sample.py::test_fails - AssertionError: assert 'one' == 'two'`,
	`before it failed`,
	`FAILED test_sample.py::test_leaves`,
	`the test has left a process, now killed:\n  \d+ sleep: sleep 100000\n`,
	`FAILED test_sample.py::test_hangs`,
	`timeout after 0.5 s: the test was ended, and all that it had started`,
	`test_sample.py", line \d+ in test_hangs`, // where it hung
	`FAILED test_sample.py::test_crashes`,
	`the test's process was ended by SIGSEGV`,
	`FAILED test_sample.py::test_exits`,
	`the test's process has exited with status 3 before the test was over`,
	`SKIPPED .*no reason`,
	`XFAIL test_sample.py::test_expected`,
	`PASSED test_sample.py::test_parameters\[x::y\]`,
	`PASSED test_sample.py::test_parameters\[\[z\]\]`,
	`PASSED test_sample.py::TestClass::test_method`,
	`PASSED below/test_below.py::test_below\[a/b\]`,
	`PASSED below/test_below.py::test_below\[x{300}\]`,
	`PASSED test_sample.py::test_helpers`,
	`ERROR test_sample.py::test_wrong_mark`,
	`the mark supervise has no argument 'mem_max'`,
	`ERROR test_sample.py::test_wrong_limits`,
	`-- supervise --+\ntimeout, \d`, // the record
}

func TestPytest(t *testing.T) {
	p := newPytest(t)
	for _, b := range beds {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel() // the tests wait most of the time
			begin := b.wrap(p.dir)
			if begin != nil {
				testbed.Need(t, begin[0], probe(begin...))
			}
			xml := filepath.Join(p.dir, b.name+".xml")
			out, status, left := p.run(t, begin, "--supervise", "-rA", "--junitxml", xml)
			if status != 1 || left != "0" {
				t.Errorf("pytest has exited with %d, and left %s processes\n%s", status, left, out)
			}
			memory := []string{`ERROR test_sample.py::test_memory`, `(?i)no memory controller|needs a cgroup`}
			if strings.Contains(out, "FAILED test_sample.py::test_memory") { // the limit was had
				memory = []string{`the limit of memory of 209715200 bytes is used up: the test was ended`}
			}
			check(t, out, append(memory, want...))
			properties, err := os.ReadFile(xml)
			if err != nil {
				t.Fatal(err)
			}
			check(t, string(properties), []string{
				`name="test_hangs"[^>]*><properties><property name="supervise.cause" value="timeout"`,
				`name="test_passes"[^>]*><properties>.*?"supervise.cpu_s" value="[0-9.]+"`,
				`<testsuite [^>]*errors="3" failures="5"|<testsuite [^>]*errors="2" failures="6"`,
			})
		})
	}
}

func check(t *testing.T, out string, patterns []string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("pytest does not say %s", pattern)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestRealLimit: Linux ends a test that takes more memory than it may have, and the report says so.
func TestRealLimit(t *testing.T) {
	testbed.NeedMemoryLimit(t, bin)
	p := newPytest(t)
	out, status, _ := p.run(t, nil, "--supervise", "-rA", "-k", "memory")
	if status != 1 {
		t.Errorf("pytest has exited with %d", status)
	}
	check(t, out, []string{
		`FAILED test_sample.py::test_memory`, `the limit of memory of 209715200 bytes is used up: the test was ended`,
		`-- supervise --+\noom, \d`, `1 failed, \d+ deselected`,
	})
}

// TestPytestWithout is what becomes of the leftover where the plugin was not asked: pytest passes, and leaves it.
func TestPytestWithout(t *testing.T) {
	p := newPytest(t)
	out, status, left := p.run(t, nil, "-k", "leaves")
	if status != 0 || left != "1" {
		t.Errorf("pytest has exited with %d, and left %s processes\n%s", status, left, out)
	}
	const program = "import sys, pytest; pytest.main(['-q', '-k', 'passes']); print([m for m in sys.modules if m.startswith('supervise_')])"
	said := run(t, filepath.Join(p.dir, "tests"), []string{"PYTHONPATH=" + p.dir}, p.python, "-c", program, "--")
	if !strings.Contains(said, "['supervise_pytest']") {
		t.Errorf("more than the options was loaded: %s", said)
	}
}

func TestPytestOptions(t *testing.T) {
	p := newPytest(t)
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"--supervise -x -k fails|leaves|passes", 1, `1 failed, 1 passed, \d+ deselected`},
		{"--supervise-marked -k leaves|hangs", 1, `1 failed, 1 passed, \d+ deselected`},
		{"--supervise --supervise-timeout 0.01 -k helpers", 1, `timeout after 0.01 s`},
		{"--supervise -s -k passes|fails", 1, `before it failed`},
		{"--supervise --pdb -k passes", 4, `a test has no terminal with --supervise`},
		{"--supervise --supervise-timeout 0 -k passes", 4, `want a number of seconds that is more than 0`},
		{"--supervise -n 2 -k passes|leaves|method", 1, `1 failed, 2 passed`},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(test.args, "-n 2") {
				testbed.Need(t, "pytest-xdist (Debian: python3-pytest-xdist)", probe(p.python, "-c", "import xdist", "--"))
			}
			var args []string
			for _, word := range strings.Fields(test.args) {
				args = append(args, strings.ReplaceAll(word, "|", " or "))
			}
			out, status, _ := p.run(t, nil, args...)
			if status != test.status {
				t.Error(fmt.Errorf("pytest has exited with %d, want %d", status, test.status))
			}
			check(t, out, []string{test.want})
		})
	}
}

// TestPytestSlowStart: the time of a test is that of its own, and not of its process, which has imported the file before.
func TestPytestSlowStart(t *testing.T) {
	t.Parallel() // it waits most of the time
	p := newPytest(t)
	const text = "import os, time, pytest\n\ntime.sleep(4)\n\n@pytest.mark.supervise(timeout=3)\ndef test_quick():\n    assert 'NOTIFY_SOCKET' not in os.environ\n"
	if err := os.WriteFile(filepath.Join(p.dir, "tests", "test_slow.py"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, status, _ := p.run(t, nil, "--supervise", "test_slow.py"); status != 0 {
		t.Errorf("pytest has exited with %d\n%s", status, out)
	}
}

// TestPytestKilled: a test that kills the supervisor fails, and the next one has another.
func TestPytestKilled(t *testing.T) {
	p := newPytest(t)
	const text = "import os, signal, time\n\ndef test_kills():\n    os.kill(os.getppid(), signal.SIGKILL)\n    time.sleep(1000)\n\ndef test_next():\n    pass\n"
	if err := os.WriteFile(filepath.Join(p.dir, "tests", "test_killer.py"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, status, _ := p.run(t, nil, "--supervise", "-rA", "test_killer.py") // a guardian may still be ending what was held
	if status != 1 {
		t.Errorf("pytest has exited with %d", status)
	}
	check(t, out, []string{`ERROR test_killer.py::test_kills`, `the test has killed the supervisor, and has ended with it`, `PASSED test_killer.py::test_next`})
}

// TestPytestReports: a test that finds the file of its reports, and writes what is none or puts a directory there, fails alone.
func TestPytestReports(t *testing.T) {
	p := newPytest(t)
	const text = `
import os

def reports():
    links = {int(fd): os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")}
    return next((fd, os.readlink(link)) for fd, link in links.items() if os.path.lexists(link) and os.readlink(link).endswith("/reports"))

def test_writes():
    os.write(reports()[0], b'5\n[]\n{"report":{}}\n{"report":5}\n{"error":5}\n\xff\n"error"\n')

def test_replaces():
    name = reports()[1]
    os.unlink(name)
    os.mkdir(name)

def test_next():
    pass
`
	if err := os.WriteFile(filepath.Join(p.dir, "tests", "test_scribbler.py"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, status, _ := p.run(t, nil, "--supervise", "-rA", "test_scribbler.py")
	if status != 1 {
		t.Errorf("pytest has exited with %d", status)
	}
	check(t, out, []string{`PASSED test_scribbler.py::test_writes`, `(ERROR|FAILED) test_scribbler.py::test_replaces`, `PASSED test_scribbler.py::test_next`})
}
