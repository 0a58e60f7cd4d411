package c

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// check runs the library's own tests, which say how they are held.
func check(t *testing.T, containment string, prepare func(t *testing.T, dir string) *exec.Cmd) {
	t.Helper()
	needPrograms(t, "cc", "make")
	cmd := prepare(t, sources(t))
	cmd.Env = append(cmd.Env, "SUPERVISE_TEST_CONTAINMENT="+containment)
	out := run(t, cmd)
	for _, last := range []string{"\nok test_containment\n", "\nok serve, "} {
		if n := strings.Count(out, last); n != 2 || strings.Contains(out, "FAIL") {
			t.Errorf("%d complete runs, want one as it is and one with sanitizers:\n%s", n, out)
		}
	}
}

// conformance tells make where the script is that the client of serve replays.
func conformance(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(testbed.Source("protocol", "testdata", "conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return "CONFORMANCE=" + path
}

func TestCheckInCgroup(t *testing.T) {
	check(t, "cgroup", func(t *testing.T, dir string) *exec.Cmd {
		cmd := command(t, dir, "make", "check", conformance(t))
		inCgroup(t, cmd)
		return cmd
	})
}

// In the fallback: all of /sys is read-only, as in a container.
func TestCheckInFallback(t *testing.T) {
	check(t, "subreaper", func(t *testing.T, dir string) *exec.Cmd {
		sandbox := []string{"bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", dir, dir, "--"}
		testbed.Need(t, "bwrap", command(t, dir, append(sandbox, "true")...).Run())
		return command(t, dir, append(sandbox, "make", "check", conformance(t))...)
	})
}

// installed are the files of the package, with PREFIX=/usr and LIBDIR=/usr/lib/here.
var installed = []string{
	"usr/bin/unlinkwait",
	"usr/include/supervise.h",
	"usr/include/supervise_protocol.h",
	"usr/lib/here/libsupervise.a",
	"usr/lib/here/libsupervise.so",
	"usr/lib/here/libsupervise.so.1",
	"usr/lib/here/libsupervise.so.1.5.0",
	"usr/lib/here/pkgconfig/supervise.pc",
	"usr/share/man/man1/unlinkwait.1",
	"usr/share/man/man3/supervise_event_ended.3",
	"usr/share/man/man3/supervise_read_event.3",
	"usr/share/man/man3/supervise_signal.3",
	"usr/share/man/man3/supervise_spawnfd.3",
}

// install installs into a directory, which it returns with the arguments of make.
func install(t *testing.T, dir string) (root string, args []string) {
	t.Helper()
	root = t.TempDir()
	args = []string{"DESTDIR=" + root, "PREFIX=/usr", "LIBDIR=/usr/lib/here"}
	run(t, command(t, dir, append([]string{"make", "install"}, args...)...))
	return root, args
}

func TestInstall(t *testing.T) {
	needPrograms(t, "cc", "make")
	dir := sources(t)
	root, args := install(t, dir)
	if got := files(t, root); !slices.Equal(got, installed) {
		t.Errorf("installed: %q", got)
	}
	run(t, command(t, dir, append([]string{"make", "uninstall"}, args...)...))
	if got := files(t, root); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

// files lists what is no directory, in order.
func files(t *testing.T, root string) (list []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// pkgConfig asks for what is installed.
func pkgConfig(t *testing.T, root string, args ...string) string {
	t.Helper()
	cmd := command(t, root, append([]string{"pkg-config"}, args...)...)
	cmd.Env = append(cmd.Env, "PKG_CONFIG_LIBDIR="+filepath.Join(root, "usr/lib/here/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR="+root)
	return run(t, cmd)
}

// TestPkgConfig: what was built with the C program's library finds this one.
func TestPkgConfig(t *testing.T) {
	needPrograms(t, "cc", "make", "pkg-config")
	root, _ := install(t, sources(t))
	pkgConfig(t, root, "--atleast-version=1.4", "supervise") // which fails if it is not
	for name, want := range map[string]string{"exec_prefix": "/usr", "prefix": "/usr", "libdir": "/usr/lib/here", "includedir": "/usr/include"} {
		if got := strings.TrimSpace(pkgConfig(t, root, "--variable="+name, "supervise")); strings.TrimPrefix(got, root) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestHeaders compiles programs of each standard, in C and in C++.
func TestHeaders(t *testing.T) {
	needPrograms(t, "cc", "make", "c++")
	run(t, command(t, sources(t), "make", "check-headers"))
}

// TestOldBinary: a binary that was linked with the C program's library, which had no symbols, runs with ours by a link.
func TestOldBinary(t *testing.T) {
	needPrograms(t, "cc", "make")
	dir := sources(t)
	root, _ := install(t, dir)
	lib, old, program := filepath.Join(root, "usr/lib/here"), t.TempDir(), filepath.Join(dir, "old")
	write(t, filepath.Join(dir, "empty.c"), "typedef int nothing;")
	write(t, filepath.Join(dir, "old.c"), `#include <stdio.h>
#include <supervise.h>
int main(void) { struct supervise_send_signal m = {1, 15}; return m.signal - puts("runs"); }
`)
	run(t, command(t, dir, "cc", "-shared", "-Wl,-soname,libsupervise.so.0", "-o", filepath.Join(old, "libsupervise.so"), "empty.c"))
	run(t, command(t, dir, "cc", "-o", program, "old.c", "-I.", "-L"+old, "-Wl,--no-as-needed", "-lsupervise"))
	if err := os.Symlink("libsupervise.so.1", filepath.Join(lib, "libsupervise.so.0")); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, dir, program)
	cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+lib)
	if out, _ := cmd.CombinedOutput(); string(out) != "runs\n" {
		t.Errorf("%v: %q", cmd.ProcessState, out)
	}
}

// TestLinkedBefore: a binary that was linked with version 1.0 runs on: that has the old name of supervise_signal.
func TestLinkedBefore(t *testing.T) {
	needPrograms(t, "cc", "make")
	dir := sources(t)
	root, _ := install(t, dir)
	lib, program := filepath.Join(root, "usr/lib/here"), filepath.Join(dir, "before")
	write(t, filepath.Join(dir, "before.c"), `int supervise_send_signal(int, int, int);
int main(void) { return supervise_send_signal(-1, 1, 65) + 1; }
`)
	run(t, command(t, dir, "cc", "-o", program, "before.c", "-L"+lib, "-lsupervise"))
	cmd := command(t, dir, program)
	cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+lib)
	run(t, cmd)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestExample compiles a program with the flags of pkg-config and nothing else, and runs it without what only the linker needs.
func TestExample(t *testing.T) {
	needPrograms(t, "cc", "make", "pkg-config")
	dir := sources(t)
	root, _ := install(t, dir)
	lib := filepath.Join(root, "usr/lib/here")
	flags := strings.Fields(pkgConfig(t, root, "--cflags", "--libs", "supervise"))
	compile := func(out string, args ...string) {
		t.Helper()
		run(t, command(t, dir, append([]string{"cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", out, "example.c"}, args...)...))
	}
	shared, static := filepath.Join(dir, "shared"), filepath.Join(dir, "static")
	compile(shared, flags...)
	compile(static, "-I"+filepath.Join(root, "usr/include"), filepath.Join(lib, "libsupervise.a"), "-pthread")
	if err := os.Remove(filepath.Join(lib, "libsupervise.so")); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{shared, static} {
		cmd := command(t, dir, program, "sh", "-c", "setsid sleep 1000 & exit 3")
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+lib)
		out, _ := cmd.Output()
		if cmd.ProcessState.ExitCode() != 3 || !regexp.MustCompile(`^\d+ exited 3\n$`).Match(out) {
			t.Errorf("%s: %v, stdout %q", program, cmd.ProcessState, out)
		}
	}
}
