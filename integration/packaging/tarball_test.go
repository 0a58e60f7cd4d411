package packaging

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// makeIn runs make with the Makefile of contrib/packaging, which builds in dir.
func makeIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	for _, program := range []string{"make", "gcc", "go"} {
		testbed.Program(t, program)
	}
	output(t, "make", append([]string{"-s", "-C", testbed.Source("contrib", "packaging"), "B=" + dir}, args...)...)
}

// files are the paths that are no directories.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	for path := range paths(t, dir) {
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			list = append(list, strings.TrimPrefix(path, dir))
		}
	}
	slices.Sort(list)
	return list
}

// TestTarball: it is the same each time. It installs where there is no Go, with the helpers where supervise finds them, and
// its removal leaves what is not its own.
func TestTarball(t *testing.T) {
	onHost(t)
	dir := t.TempDir()
	makeIn(t, dir, "tarball")
	tarball := find(t, dir, "supervise-*.tar.gz")
	first := content(t, tarball)
	makeIn(t, dir, "tarball")
	if !bytes.Equal(first, content(t, tarball)) {
		t.Error("made again, the tarball is another")
	}

	source, root := t.TempDir(), t.TempDir()
	output(t, "tar", "-x", "-z", "-f", tarball, "-C", source, "--strip-components=1")
	without := func(verb string) {
		t.Helper()
		cmd := exec.Command("make", "-s", "-C", source, verb, "PREFIX=/opt/s", "DESTDIR="+root)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		said(t, cmd)
	}
	other := filepath.Join(root, "opt/s/bin/other")
	without("install")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	testInstalled(t, filepath.Join(root, "opt/s"))
	without("uninstall")
	want := []string{root, root + "/opt", root + "/opt/s", root + "/opt/s/bin", other}
	if left := slices.Sorted(maps.Keys(paths(t, root))); !slices.Equal(left, want) {
		t.Errorf("there is left %q, want %q", left, want)
	}
}

// testInstalled: what is below a prefix works.
func testInstalled(t *testing.T, prefix string) {
	t.Helper()
	supervise := filepath.Join(prefix, "bin/supervise")
	if got := output(t, supervise, "run", "--contain=subreaper", "--", "echo", "done"); got != "done" {
		t.Errorf("a job says %q", got)
	}
	if got := output(t, supervise, "top", "--help"); !strings.Contains(got, "supervise-top") {
		t.Errorf("supervise top --help says %q", got)
	}
	limits := filepath.Join(t.TempDir(), "limits.json")
	if err := os.WriteFile(limits, []byte(`{"memory":{"limit":-1}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, supervise, "run", "--contain=subreaper", "--best-effort", "--resources", limits, "--", "true") // asks supervise-oci
	output(t, "sh", "-ec", `cd "$1"; exec 3>gone; rm gone; timeout 60 "$2" /proc/self/fd/3`, "sh", t.TempDir(), filepath.Join(prefix, "bin/unlinkwait"))
	for _, page := range []string{"man1/supervise.1", "man1/supervise-top.1", "man1/unlinkwait.1", "man5/supervise.record.5", "man7/supervise-serve.7"} {
		if len(content(t, filepath.Join(prefix, "share/man", page))) == 0 {
			t.Errorf("%s is empty", page)
		}
	}
}

// TestInstall: make install installs the clients as well, and make uninstall removes all of it.
func TestInstall(t *testing.T) {
	onHost(t)
	python := testbed.Program(t, "python3")
	dir, root := t.TempDir(), t.TempDir()
	args := []string{"DESTDIR=" + root, "PREFIX=/usr", "PYTHONDIR=/usr/python", "NODEDIR=/usr/node"}
	makeIn(t, dir, append(args, "install")...)
	testInstalled(t, filepath.Join(root, "usr"))
	cmd := exec.Command(python, "-B", "-c", `import supervise_api, importlib.metadata; print(importlib.metadata.version("supervise_api"))`)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root, "usr/python"))
	if got := said(t, cmd); got == "" {
		t.Error("the package for Python has no version")
	}
	for _, file := range []string{"lib/libsupervise.so", "lib/libsupervise.a", "include/supervise.h", "lib/pkgconfig/supervise.pc", "node/supervise-api/package.json"} {
		content(t, filepath.Join(root, "usr", file))
	}
	makeIn(t, dir, append(args, "uninstall")...)
	if left := files(t, root); len(left) > 0 {
		t.Errorf("there is left %q", left)
	}
}

// TestBlanks: what make would take for two paths it does not take, and does nothing.
func TestBlanks(t *testing.T) {
	onHost(t)
	testbed.Program(t, "make")
	for _, dir := range []string{"packaging", "c"} {
		for _, variable := range []string{"DESTDIR=/tmp/a b", "PREFIX=/usr /etc"} {
			for _, target := range []string{"install", "uninstall"} {
				out, err := exec.Command("make", "-n", "-C", testbed.Source("contrib", dir), variable, target).CombinedOutput()
				if err == nil || !strings.Contains(string(out), "a blank in the path") {
					t.Errorf("%s: make %s %s: %v: %.300s", dir, variable, target, err, out)
				}
			}
		}
	}
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
