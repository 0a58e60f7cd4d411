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
	"usr/include/supervise.h",
	"usr/include/supervise_protocol.h",
	"usr/lib/here/libsupervise.a",
	"usr/lib/here/libsupervise.so",
	"usr/lib/here/libsupervise.so.1",
	"usr/lib/here/libsupervise.so.1.0.0",
	"usr/lib/here/pkgconfig/supervise.pc",
	"usr/share/man/man3/supervise_read_event.3",
	"usr/share/man/man3/supervise_send_signal.3",
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

// TestExample compiles a program with the flags of pkg-config and nothing else, and runs it without what only the linker needs.
func TestExample(t *testing.T) {
	needPrograms(t, "cc", "make", "pkg-config")
	dir := sources(t)
	root, _ := install(t, dir)
	lib := filepath.Join(root, "usr/lib/here")
	pkgConfig := command(t, dir, "pkg-config", "--cflags", "--libs", "supervise")
	pkgConfig.Env = append(pkgConfig.Env, "PKG_CONFIG_LIBDIR="+filepath.Join(lib, "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR="+root)
	flags := strings.Fields(run(t, pkgConfig))
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
