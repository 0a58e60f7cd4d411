package containment

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Places are tested in cgroups below our own: each test makes one, which it gives back
// empty. No controller is ever enabled, so that every limit is one that cannot be had.

var caught *signals.Caught

func TestMain(m *testing.M) {
	if args, ok := guardian.Invoked(); ok { // of a test that was killed: else the guardian would run the tests anew
		Clean(args)
		os.Exit(0)
	}
	err := subreaper.Become()
	if err == nil {
		caught, err = signals.Catch(nil)
	}
	if r, w, err := os.Pipe(); err == nil { // the runtime's poller opens its descriptors with the first
		r.Close()
		w.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "containment:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// need skips a test where it cannot run, which is a failure where everything is promised.
func need(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("SUPERVISE_CI") != "":
		t.Fatalf("%s: %v", what, err)
	default:
		t.Skipf("%s: %v", what, err)
	}
}

// ground makes a cgroup for one test, without controllers, and checks at its end that
// nothing is left in it, nor any child or descriptor.
func ground(t *testing.T) string {
	t.Helper()
	fds := descriptors(t)
	v := cgroup.Inspect()
	need(t, "a cgroup", v.Err)
	outer, err := os.MkdirTemp(v.Ancestors[len(v.Ancestors)-1].Path, "containment-test-")
	need(t, "a cgroup of our own", err)
	inner := filepath.Join(outer, "inner") // controllers come down one level at most
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := below(t, inner); len(left) > 0 {
			t.Errorf("cgroups are left: %q", left)
		}
		for _, dir := range []string{inner, outer} {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
		noChild(t)
		if now := descriptors(t); now != fds {
			t.Errorf("%d descriptors are open, %d were", now, fds)
		}
	})
	return inner
}

// descriptors is how many are open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// below lists the sub-cgroups.
func below(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// noChild fails a test that leaves a child, a guardian included.
func noChild(t *testing.T) {
	t.Helper()
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WALL, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %v", err)
	}
}

// choose is Choose, which has to succeed; the place is closed at the end.
func choose(t *testing.T, o Options) *Place {
	t.Helper()
	p, err := Choose(&o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// shell is a job of the place.
func shell(c supervisor.Containment, script string) supervisor.Spec {
	return supervisor.Spec{
		Containment: c, Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Signal: unix.SIGTERM,
		Attr: &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}},
	}
}

// run runs the one job of a place.
func run(t *testing.T, p *Place, script string) *protocol.Record {
	t.Helper()
	s := &supervisor.Supervisor{Signals: caught, Forward: true}
	p.Connect(s)
	if _, err := s.Start(shell(p, script)); err != nil {
		t.Fatal(err)
	}
	return s.Run()[0]
}

func limit(t *testing.T, name, value string) cgroup.Limits {
	t.Helper()
	l, err := cgroup.ParseLimit(name, value)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// isAlive says whether a process exists and is no zombie.
func isAlive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}
