package packaging

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// names are those of the binary packages.
var names = []string{"supervise", "supervise-tools", "libsupervise1", "libsupervise-dev", "python3-supervise-api", "node-supervise"}

func deviceOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return st.Dev, err
}

// TestLintian: it has neither an error nor a warning for the source and its packages.
func TestLintian(t *testing.T) {
	onHost(t)
	lintian := testbed.Program(t, "lintian")
	changes := find(t, directory(t), "supervise_*.changes")
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", changes).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestPrograms: they are static, and say which version they are.
func TestPrograms(t *testing.T) {
	onHost(t)
	dir := t.TempDir()
	for _, name := range []string{"supervise", "supervise-tools"} {
		output(t, "dpkg-deb", "-x", find(t, directory(t), name+"_*.deb"), dir)
	}
	for _, path := range []string{"bin/supervise", "bin/supervise-top", "bin/supervise-report", "libexec/supervise/supervise-oci", "libexec/supervise/supervise-scope"} {
		f, err := elf.Open(filepath.Join(dir, "usr", path))
		if err != nil {
			t.Error(err)
			continue
		}
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
			t.Errorf("%s is not static: it needs %q, %v", path, libraries, err)
		}
		f.Close()
	}
	version := output(t, "dpkg-deb", "-f", find(t, directory(t), "supervise_*.deb"), "Version")
	if got, want := output(t, filepath.Join(dir, "usr/bin/supervise"), "version"), "supervise v"+version; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// TestNames: these are the packages, and no others.
func TestNames(t *testing.T) {
	onHost(t)
	dir := directory(t)
	for _, name := range names {
		find(t, dir, name+"_*.deb")
	}
	all, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		name := strings.TrimSuffix(output(t, "dpkg-deb", "-f", file, "Package"), "-dbgsym")
		if !slices.Contains(names, name) {
			t.Errorf("there is a package %s", name)
		}
	}
}
