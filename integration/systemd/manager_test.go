package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopManager stops the user manager by SIGSTOP for the rest of the test.
func stopManager(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/sys/fs/cgroup/user.slice/user-%d.slice/user@%[1]d.service/init.scope/cgroup.procs", os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(b)) {
		pid, _ := strconv.Atoi(word)
		if comm, _ := os.ReadFile("/proc/" + word + "/comm"); string(comm) == "systemd\n" {
			syscall.Kill(pid, syscall.SIGSTOP)
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
			return
		}
	}
	t.Fatalf("no manager among %q", b)
}

// wantFallback wants a job that ran without a cgroup, one line about it, and the reason in the record.
func wantFallback(t *testing.T, o outcome, file, why string) {
	t.Helper()
	if o.code != 0 || o.out != "ran\n" || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, why) {
		t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
	}
	r := readRecord(t, file)
	if r.Containment == nil || *r.Containment != "subreaper" || r.Reason == nil || !strings.Contains(*r.Reason, why) {
		t.Errorf("record: %+v", r)
	}
}

// TestManagerStopped: a manager that does not answer is waited for as long as was said, not longer.
func TestManagerStopped(t *testing.T) {
	asUser(t)
	stopManager(t)
	file := filepath.Join(t.TempDir(), "record")
	wait := func(least time.Duration, flags ...string) time.Duration {
		t.Helper()
		o := run(t, supervise(append(flags, "--record", file, "--", "echo", "ran")...)...)
		wantFallback(t, o, file, "no answer in time")
		if o.took < least*8/10 {
			t.Errorf("it took %v, the limit was %v", o.took, least)
		}
		return o.took
	}
	short := wait(300*time.Millisecond, "--systemd-timeout=300ms")
	if usual := wait(5 * time.Second); short >= usual {
		t.Errorf("it took %v with a limit of 300ms, and %v without", short, usual)
	}
	o := run(t, supervise("--contain=cgroup", "--systemd-timeout=300ms", "--", "echo", "ran")...)
	if o.code != 125 || o.out != "" || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, "no answer in time") {
		t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
	}
}

// TestSocketsRefuse: nobody listens any more where the environment points to: the manager is found where it must be.
func TestSocketsRefuse(t *testing.T) {
	asUser(t)
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "systemd"), 0o700)
	for _, name := range []string{"systemd/private", "bus"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
	}
	c := command(t, supervise(whereAmI...)...)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "DBUS_SESSION_BUS_ADDRESS=unix:path="+dir+"/bus")
	wantCgroup(t, finish(t, c).ok(t), inScope("app.slice"))
}

// TestWedgedSocket: somebody listens, and never says a word.
func TestWedgedSocket(t *testing.T) {
	asUser(t)
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "systemd"), 0o700)
	l, err := net.Listen("unix", filepath.Join(dir, "systemd/private"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "record")
	c := command(t, supervise("--systemd-timeout=300ms", "--record", file, "--", "echo", "ran")...)
	c.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "DBUS_SESSION_BUS_ADDRESS=")
	wantFallback(t, finish(t, c), file, "no answer in time")
}
