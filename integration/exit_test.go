package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sh is a shell script as a command line, the args being $0, $1, ...
func sh(script string, args ...string) []string { return append([]string{"sh", "-c", script}, args...) }

func TestExitStatus(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, code := range []int{0, 1, 7, 124, 128, 255} {
			b := newBox(t)
			o := b.start(b.run(c, nil, sh(fmt.Sprintf("exit %d", code))...)).wait()
			o.wantCode(code)
			o.wantRecord(c, "exited").wantExit(t, code)
			if o.stdout != "" || o.stderr != "" {
				t.Errorf("exit %d: stdout %q, stderr %q, want neither", code, o.stdout, o.stderr)
			}
		}
	})
}

// TestExitByUnnamedSignal: 32 and 33 are the C library's, and have no name; those above are real-time signals.
func TestExitByUnnamedSignal(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for sig, name := range map[int]string{32: "SIG32", 33: "SIG33", 34: "SIGRTMIN+0", 64: "SIGRTMIN+30"} {
			b := newBox(t)
			o := b.start(b.run(c, nil, sh(fmt.Sprintf("kill -%d $$; read never", sig))...)).wait()
			o.wantCode(128 + sig)
			o.wantRecord(c, "signaled").wantSignal(t, name)
		}
	})
}

func TestExitBySignal(t *testing.T) {
	signals := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGKILL, unix.SIGUSR1, unix.SIGSEGV, unix.SIGPIPE,
		unix.SIGALRM, unix.SIGTERM}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, sig := range signals {
			b := newBox(t)
			l := b.run(c, nil, sh(fmt.Sprintf("ulimit -c 0; kill -%d $$; read never", sig))...)
			o := b.start(l).wait()
			o.wantCode(128 + int(sig))
			o.wantRecord(c, "signaled").wantSignal(t, unix.SignalName(sig))
		}
	})
}

// TestNotStarted: what cannot be started leaves nothing behind but a record and a line.
func TestNotStarted(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/nonexistent/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		argv []string
		code int
	}{
		{"no such name", []string{"supervise-no-such-program"}, 127},
		{"no such path", []string{"/nonexistent/program"}, 127},
		{"no such path with a file on its way", []string{"/dev/null/program"}, 127},
		{"empty name", []string{""}, 127},
		{"not executable", []string{plain}, 126},
		{"directory", []string{dir}, 126},
		{"no interpreter", []string{script}, 127},
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				b := newBox(t)
				o := b.start(b.run(c, nil, tc.argv...)).wait()
				o.wantCode(tc.code)
				if strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, tc.argv[0]) {
					t.Errorf("stderr %q, want one line that names the program", o.stderr)
				}
				// It may have failed before it came to a containment.
				r := o.wantRecord(containment(o.record.Containment), "start-failed")
				if r.Exit != nil || r.PID != nil && *r.PID != 0 {
					t.Errorf("record: exit %s, pid %s, want null", orNull(r.Exit), orNull(r.PID))
				}
			})
		}
	})
}

// TestStartFailedRecord: whatever keeps the job from being started, the record says so.
func TestStartFailedRecord(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere", "file")
	for _, flags := range [][]string{
		{"--samples", nowhere}, {"--samples=fd:77"}, {"--while-linked", nowhere}, {"--resources", nowhere}, {"--cgroup", nowhere},
		{"--contain=subreaper", "--memory-max=1G"}, {"--contain=subreaper", "--while-linked", nowhere}, {"--set=no.such.file=1"},
	} {
		b := newBox(t)
		o := b.start(b.supervise(flags, "true")).wait()
		o.wantCode(125)
		if o.record == nil || o.record.Cause != "start-failed" || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%q: record %+v, stderr %q", flags, o.record, o.stderr)
		}
	}
}

// TestPath: the command is looked up in PATH, in order, and a file that cannot be executed does not hide one that can.
func TestPath(t *testing.T) {
	b := newBox(t)
	first, second := filepath.Join(b.dir, "first"), filepath.Join(b.dir, "second")
	for dir, mode := range map[string]os.FileMode{first: 0o644, second: 0o755} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "it-greet"), []byte("#!/bin/sh\necho hello\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	l := b.run(inSubreaper, nil, "it-greet")
	l.env = []string{"PATH=" + first + ":" + second + ":" + os.Getenv("PATH")}
	o := b.start(l).wait()
	o.wantCode(0)
	if o.stdout != "hello\n" {
		t.Errorf("stdout %q", o.stdout)
	}
}
