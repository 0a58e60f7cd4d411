package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// eachMode runs a test with a supervisor that holds its jobs in cgroups, where there are
// some, and with one in the fallback.
func eachMode(t *testing.T, test func(t *testing.T, c *Conn)) {
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode, func(t *testing.T) { test(t, start(t, mode, Options{})) })
	}
}

func start(t *testing.T, mode string, o Options) *Conn {
	t.Helper()
	o.Args = []string{"--contain", mode}
	c, err := Start(limit(t), o)
	if err != nil && mode == "cgroup" && os.Getenv("SUPERVISE_CI") == "" && strings.Contains(err.Error(), "cgroup") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(c.Err(), ErrLost) {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

// limit is a context that ends what hangs.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (c *Conn) sh(t *testing.T, script string) *Cmd {
	return c.CommandContext(limit(t), "sh", "-c", script)
}

// daemon is a script that starts one in a session of its own, and tells its pid.
const daemon = `(setsid sh -c 'echo $$; exec sleep 1000' &) ; `

// firstLine reads a pid that a job tells, and goes on reading.
func firstLine(t *testing.T, cmd *Cmd) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	if !gone(pid) {
		stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		t.Errorf("%s is still there", stat)
	}
}

func TestExitStatus(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		for _, tt := range []struct{ script, want string }{
			{"exit 0", ""}, {"exit 3", "exit status 3"}, {"kill -9 $$", "signal: SIGKILL"}, {"kill -TERM $$", "signal: SIGTERM"},
		} {
			cmd := c.sh(t, tt.script)
			err := cmd.Run()
			if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
				t.Errorf("%s: %s, want %s", tt.script, got, tt.want)
			}
			var exit *ExitError
			if errors.As(err, &exit) && (exit.ExitCode() != cmd.ExitCode() || exit.Record != cmd.Record()) {
				t.Errorf("%s: %+v", tt.script, exit)
			}
			if r := cmd.Record(); r == nil || r.PID == nil || *r.PID != cmd.Pid() || r.Containment != c.Hello().Containment {
				t.Errorf("%s: the record is %+v", tt.script, r)
			}
		}
	})
}

func TestStartFails(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		plain := filepath.Join(t.TempDir(), "plain")
		if err := os.WriteFile(plain, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		away := c.Command("true")
		away.Dir = "/nonexistent"
		for _, tt := range []struct {
			cmd  *Cmd
			code int
			is   error
		}{
			{c.Command("no-such-command"), protocol.CodeNotFound, os.ErrNotExist},
			{c.Command("/nonexistent/command"), protocol.CodeNotFound, syscall.ENOENT},
			{c.Command(plain), protocol.CodeNotExecutable, os.ErrPermission},
			{away, protocol.CodeNotFound, os.ErrNotExist},
		} {
			tt.cmd.Stdin, tt.cmd.Stdout = strings.NewReader("x"), &strings.Builder{}
			err := tt.cmd.Run()
			var refusal *protocol.Error
			if !errors.As(err, &refusal) || refusal.Code != tt.code || !errors.Is(err, tt.is) {
				t.Errorf("%s: %v", tt.cmd, err)
			}
			if absent := tt.code == protocol.CodeNotFound && tt.cmd != away; errors.Is(err, exec.ErrNotFound) != absent {
				t.Errorf("%s: is it exec.ErrNotFound? %v", tt.cmd, !absent)
			}
		}
	})
}

// TestCancel: the context ends all of the tree.
func TestCancel(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithCancel(limit(t))
		cmd := c.CommandContext(ctx, "sh", "-c", daemon+"exec sleep 1000")
		pid := firstLine(t, cmd)
		cancel()
		err := cmd.Wait()
		var exit *ExitError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &exit) || exit.Record.Cause != protocol.CauseKilled {
			t.Errorf("got %v", err)
		}
		mustBeGone(t, pid)
		mustBeGone(t, cmd.Pid())
	})
}

// TestCancelGently: with Cancel of one's own.
func TestCancelGently(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithCancel(limit(t))
		cmd := c.CommandContext(ctx, "sh", "-c", `trap 'exit 5' TERM; echo $$; while :; do sleep 0.01; done`)
		cmd.Cancel = func() error { return cmd.Stop(patience) }
		pid := firstLine(t, cmd)
		cancel()
		if err := cmd.Wait(); !errors.Is(err, context.Canceled) || cmd.ExitCode() != 5 {
			t.Errorf("got %v", err)
		}
		mustBeGone(t, pid)
	})
}

func TestTimeout(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"exec sleep 1000")
		cmd.Timeout, cmd.Grace = 50*time.Millisecond, -1
		if err := cmd.Run(); err == nil || cmd.Record() == nil || cmd.Record().Cause != protocol.CauseTimeout {
			t.Errorf("got %v", err)
		}
	})
}

// TestTimeIsOver: a job is started, and ended at once, however short it would have been.
func TestTimeIsOver(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		for range 20 {
			cmd := c.CommandContext(limit(t), "true")
			cmd.Timeout = time.Until(time.Now().Add(-time.Second))
			if err := cmd.Run(); err == nil || cmd.Record() == nil || cmd.Record().Cause != protocol.CauseTimeout {
				t.Errorf("got %v", err)
			}
		}
		if !c.Has("cgroup") {
			return
		}
		cmd := c.CommandContext(limit(t), "true")
		cmd.CPUTimeout = -1
		if err := cmd.Run(); err == nil || cmd.Record() == nil || cmd.Record().Cause != protocol.CauseCPUTimeout {
			t.Errorf("got %v", err)
		}
	})
}

// TestDeadlineIsOver: nothing is started.
func TestDeadlineIsOver(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithDeadline(limit(t), time.Now().Add(-time.Second))
		defer cancel()
		cmd := c.CommandContext(ctx, "sh", "-c", daemon+"exec sleep 1000")
		if err := cmd.Run(); err != context.DeadlineExceeded || cmd.Pid() != 0 {
			t.Errorf("got %v, pid %d", err, cmd.Pid())
		}
	})
}

// TestAnyBytes: directory, arguments and environment, and much of them.
func TestAnyBytes(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		dir := filepath.Join(t.TempDir(), "d\xe9")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := c.CommandContext(limit(t), "sh", "-c", `pwd; printf '%s %s %s' "$1" "$A" $(($# + ${#LONG}))`, "sh", "caf\xe9")
		for range 6 {
			cmd.Args = append(cmd.Args, strings.Repeat("<\x01&", 40_000))
		}
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "A=\xff", "B\xff=b", "LONG=" + strings.Repeat("l", 100_000)}
		out, err := cmd.Output()
		if want := dir + "\ncaf\xe9 \xff 100007"; err != nil || string(out) != want {
			t.Errorf("got %.200q, %v, want %q", out, err, want)
		}
		bare := c.CommandContext(limit(t), "/usr/bin/env")
		bare.Env = []string{}
		if out, err := bare.Output(); err != nil || len(out) > 0 {
			t.Errorf("an empty environment: %q, %v", out, err)
		}
	})
}

// TestTimeoutWhileWaiting: the main process has exited with 0, and the work has not been done.
func TestTimeoutWhileWaiting(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "sleep 1000 & exit 0")
		cmd.Leftovers, cmd.Timeout, cmd.Grace = protocol.LeftoversWait, 200*time.Millisecond, -1
		var e *ExitError
		if err := cmd.Run(); !errors.As(err, &e) || e.Record.Cause != protocol.CauseTimeout {
			t.Errorf("%v", err)
		}
	})
}

func TestLeftovers(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"read x")
		cmd.Leftovers = protocol.LeftoversFail
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		pid := firstLine(t, cmd)
		fmt.Fprintln(in, "go on")
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "processes left: ") {
			t.Errorf("got %v", err)
		}
		mustBeGone(t, pid)
	})
}
