package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestTimeout(t *testing.T) {
	// The shell has its background child ignore INT.
	const polite = `trap 'echo asked; kill $!; exit 3' %s; echo ready; sleep 1000 & wait`
	cases := []struct {
		name   string
		flags  []string
		argv   []string
		signal string // that ended the main process; "": it ended with 3
		stdout string
	}{
		{"killed by TERM", nil, []string{"sleep", "1000"}, "SIGTERM", ""},
		{"polite", []string{"--grace=50s"}, sh(fmt.Sprintf(polite, "TERM")), "", "ready\nasked\n"},
		{"other signal", []string{"--grace=50s", "--signal=INT"}, sh(fmt.Sprintf(polite, "INT")), "", "ready\nasked\n"},
		{"other signal by its long name", []string{"--grace=50s", "--signal=SIGUSR1"}, sh(fmt.Sprintf(polite, "USR1")), "", "ready\nasked\n"},
		{"stubborn", []string{"--grace=200ms"}, adversary("stubborn"), "SIGKILL", "\nready\n"},
		{"stopped", []string{"--grace=50s"}, sh("kill -STOP $$"), "SIGTERM", ""},
		{"KILL at once", []string{"--grace=50s", "--signal=KILL"}, adversary("stubborn"), "SIGKILL", "\nready\n"},
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				b := newBox(t)
				l := b.run(c, append([]string{"--timeout", "1s"}, tc.flags...), tc.argv...)
				l.deadline = 30 * time.Second
				o := b.start(l).wait()
				o.wantCode(124)
				if o.stdout != tc.stdout {
					t.Errorf("stdout %q, want %q", o.stdout, tc.stdout)
				}
				r := o.wantRecord(c, "timeout")
				if tc.signal != "" {
					r.wantSignal(t, tc.signal)
				} else {
					r.wantExit(t, 3)
				}
				if o.took < time.Second {
					t.Errorf("took %v", o.took)
				}
			})
		}
	})
}

// TestTimeoutAsksAll: the signal at the timeout goes to the whole job, not only to the main process.
func TestTimeoutAsksAll(t *testing.T) {
	const script = `sh -c "trap 'echo child asked; exit' TERM; while :; do sleep 1000 & wait \$!; done" & trap 'wait; echo main asked; exit' TERM; wait`
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--timeout=1s", "--grace=30s"}, sh(script)...)).wait()
		o.wantCode(124)
		if o.stdout != "child asked\nmain asked\n" {
			t.Errorf("stdout %q", o.stdout)
		}
	})
}

// TestTimeoutNotReached: a timeout that is not reached is not seen.
func TestTimeoutNotReached(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--timeout=1h"}, "true")).wait()
		o.wantCode(0)
		o.wantRecord(c, "exited")
		if o.took > 20*time.Second {
			t.Errorf("took %v", o.took)
		}
	})
}
