package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestPlaces: from wherever an ordinary user may be, the job gets a scope, or the unit that it is in: one that is delegated, or
// a service, which is not left.
func TestPlaces(t *testing.T) {
	me := supervise(whereAmI...)
	scope := []string{"systemd-run", "--user", "--scope", "-q"}
	service := []string{"systemd-run", "--user", "--wait", "--pipe", "-q"}
	newScope := inScope("app.slice")
	in := func(unit string) *regexp.Regexp {
		return regexp.MustCompile(`/app\.slice/run-[^/]+\.` + unit + `/jobs-[0-9a-f]{8}/sed/main$`)
	}
	tests := []struct {
		name string
		argv []string
		want *regexp.Regexp
	}{
		{"login session", me, newScope},
		{"no environment", append([]string{"env", "-i"}, me...), newScope},
		{"sudo", append([]string{"env", "-u", "XDG_RUNTIME_DIR", "-u", "DBUS_SESSION_BUS_ADDRESS"}, me...), newScope},
		{"runtime directory of nobody", append([]string{"env", "-u", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR=/nonexistent"}, me...), newScope},
		{"app scope, not delegated", append(scope, me...), newScope},
		{"user service, not delegated", append(service, me...), in("service")},
		{"the same, left by name", append(service, supervise(append([]string{"--scope=new"}, whereAmI...)...)...), newScope},
		{"delegated scope of our own", append(append(scope, "-p", "Delegate=yes"), me...), in("scope")},
		{"delegated scope, shared", append(append(scope, "-p", "Delegate=yes"), "sh", "-c", strings.Join(me, " ")+"; true"), newScope},
		{"delegated service of our own", append(append(service, "-p", "Delegate=yes"), me...), in("service")},
		{"delegated service, shared", append(append(service, "-p", "Delegate=yes"), "sh", "-c", strings.Join(me, " ")+"; true"), in("service")},
		{"slice", supervise(append([]string{"--slice", "supervise_test.slice"}, whereAmI...)...), inScope("supervise_test.slice")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asUser(t)
			wantCgroup(t, run(t, tt.argv...).ok(t), tt.want)
		})
	}
}

// TestLeftovers: whatever the job leaves is gone with it.
func TestLeftovers(t *testing.T) {
	asUser(t)
	o := run(t, supervise("--", "sh", "-c", "setsid sleep "+sleeper+" >/dev/null 2>&1 & exit 3")...)
	if o.code != 3 || o.err != "" {
		t.Errorf("status %d, stderr %q", o.code, o.err)
	}
}

// TestKilled: kill -9 leaves neither a process nor a directory nor a unit.
func TestKilled(t *testing.T) {
	asUser(t)
	for range 5 {
		c := command(t, supervise("--", "sh", "-c", "setsid sleep "+sleeper+" & echo ready; sleep "+sleeper)...)
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Read(make([]byte, 6))
		c.Process.Kill()
		nothingLeft(t)
		c.Wait()
	}
}

// TestInARow and TestAtOnce: no failure, no leftover unit.
func TestInARow(t *testing.T) {
	asUser(t)
	n := 200
	if testing.Short() {
		n = 20
	}
	for i := range n {
		if o := run(t, supervise(whereAmI...)...); o.code != 0 || o.err != "" || !inScope("app.slice").MatchString(strings.TrimSpace(o.out)) {
			t.Fatalf("run %d: %+v", i, o)
		}
	}
}

func TestAtOnce(t *testing.T) {
	asUser(t)
	var all sync.WaitGroup
	for i := range 20 {
		c := command(t, supervise(whereAmI...)...)
		all.Go(func() {
			out, err := c.CombinedOutput()
			if err != nil || !inScope("app.slice").MatchString(strings.TrimSpace(string(out))) {
				t.Errorf("run %d: %v, %s", i, err, out)
			}
		})
	}
	all.Wait()
}

// TestNoHelper: with no manager to be had the job is in the fallback, and the record and one line say so; with
// --contain=cgroup there is no job.
func TestNoHelper(t *testing.T) {
	asUser(t)
	alone := filepath.Join(t.TempDir(), "supervise")
	if out, err := exec.Command("cp", program("supervise"), alone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(t.TempDir(), "record")
	lost := []string{"env", "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=/nonexistent", alone, "run"}
	o := run(t, append(lost, "--record", file, "--", "true")...)
	const why = "supervise-scope is neither beside supervise nor in PATH"
	if o.code != 0 || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, why) {
		t.Errorf("status %d, stderr %q", o.code, o.err)
	}
	if r := readRecord(t, file); *r.Containment != "subreaper" || !strings.Contains(*r.Reason, why) {
		t.Errorf("%s: %v", *r.Containment, *r.Reason)
	}
	o = run(t, append(lost, "--contain=cgroup", "--", "echo", "started")...)
	if o.code != 125 || o.out != "" || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, why) {
		t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
	}
}

// TestPassThrough: what systemd gives a service reaches the job.
func TestPassThrough(t *testing.T) {
	asUser(t)
	socket := filepath.Join(t.TempDir(), "notify")
	c := command(t, supervise("--", "sh", "-c", `echo "$NOTIFY_SOCKET $LISTEN_FDS $LISTEN_PID"; cat <&3`)...)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "passed on")
	f.Seek(0, 0)
	c.ExtraFiles = []*os.File{f}
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "LISTEN_FDS=1", "LISTEN_PID=42")
	if got, want := finish(t, c).ok(t), socket+" 1 42\npassed on"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
