package client

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// TestStop: what does not end by itself is killed when the grace period is over.
func TestStop(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `trap '' TERM; echo $$; while :; do sleep 0.01; done`)
		pid := firstLine(t, cmd)
		if err := cmd.Stop(50 * time.Millisecond); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed (signal: SIGKILL)") {
			t.Errorf("got %v", err)
		}
		mustBeGone(t, pid)
	})
}

func TestSignal(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `trap 'exit 6' USR1; echo $$; while :; do sleep 0.01; done`)
		firstLine(t, cmd)
		if err := cmd.Signal(syscall.SIGUSR1); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ExitCode() != 6 {
			t.Errorf("got %v", err)
		}
		if err := cmd.Signal(syscall.SIGUSR1); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestSignalAll(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, daemon+"exec sleep 1000")
		pid := firstLine(t, cmd)
		if err := cmd.SignalAll(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "SIGINT") {
			t.Errorf("got %v", err)
		}
		mustBeGone(t, pid)
	})
}

func TestFreeze(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "echo $$; exec sleep 1000")
		firstLine(t, cmd)
		defer func() { cmd.Kill(); cmd.Wait() }()
		if err := cmd.Freeze(); !c.Has("freeze") {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("without the feature: %v", err)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if s, err := cmd.Stat(); err != nil || !s.Frozen {
			t.Errorf("frozen: %+v, %v", s, err)
		}
		if err := cmd.Thaw(); err != nil {
			t.Error(err)
		}
		if s, err := cmd.Stat(); err != nil || s.Frozen {
			t.Errorf("thawed: %+v, %v", s, err)
		}
	})
}

func TestStat(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "echo $$; exec sleep 1000")
		cmd.Name, cmd.Tags = "sleeper", map[string]string{"k": "v"}
		firstLine(t, cmd)
		s, err := cmd.Stat()
		if err != nil || s.PID != cmd.Pid() || s.State != protocol.StateRunning || s.Name != "sleeper" || s.Tags["k"] != "v" {
			t.Errorf("got %+v, %v", s, err)
		}
		if list, err := c.List(t.Context()); err != nil || len(list) != 1 || list[0].Job != cmd.Job() {
			t.Errorf("got %+v, %v", list, err)
		}
		if err := cmd.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait()
		if e := cmd.Ended(); e == nil || e.Tags["k"] != "v" || *e.Record.Name != "sleeper" {
			t.Errorf("got %+v", e)
		}
	})
}

// TestLimits: it is enforced, or refused by a name.
func TestLimits(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.Command("true")
		cmd.Limits = map[string]string{"pids-max": "100"}
		err := cmd.Run()
		var refusal *protocol.Error
		switch {
		case err == nil:
			if got := cmd.Spawned().Limits; len(got) != 1 {
				t.Errorf("enforced are %+v", got)
			}
		case !errors.As(err, &refusal) || refusal.Code != protocol.CodeLimit && refusal.Code != protocol.CodeUnsupported:
			t.Errorf("got %v", err)
		case refusal.Data == nil || !strings.HasPrefix(refusal.Data.Field, "limits"):
			t.Errorf("its field is %+v", refusal.Data)
		}
	})
}

// TestLimit: of a running job.
func TestLimit(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "echo $$; exec sleep 1000")
		firstLine(t, cmd)
		defer func() { cmd.Kill(); cmd.Wait() }()
		r, err := cmd.Limit(map[string]string{"pids-max": "50"})
		var refusal *protocol.Error
		switch {
		case err == nil && len(r.Limits) != 1:
			t.Errorf("enforced are %+v", r.Limits)
		case err != nil && (!errors.As(err, &refusal) || refusal.Code != protocol.CodeLimit && refusal.Code != protocol.CodeUnsupported):
			t.Errorf("got %v", err)
		}
	})
}

func TestMark(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "echo $$; exec sleep 1000")
		firstLine(t, cmd)
		_, err := cmd.Mark("second")
		cmd.Kill()
		cmd.Wait()
		switch phases := cmd.Record().Phases; {
		case !c.Has("cgroup"):
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v", err)
			}
		case err != nil || len(phases) != 2 || phases[1].Name != "second":
			t.Errorf("got %v, phases %+v", err, phases)
		}
	})
}

// TestDetach: the job outlives its supervisor, where that is to be had.
func TestDetach(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r, err := cmd.Detach()
		t.Logf("%+v, %v", r, err)
		if err != nil {
			cmd.Kill()
			if waiting := cmd.Wait(); c.Has("detach") || !errors.Is(err, errors.ErrUnsupported) || cmd.Record() == nil {
				t.Errorf("got %v, %v", err, waiting)
			}
			return
		}
		if err := cmd.Wait(); !errors.Is(err, ErrDetached) {
			t.Errorf("got %v", err)
		}
		c.Close()
		if gone(cmd.Pid()) {
			t.Error("it is gone")
		}
		unix.Kill(cmd.Pid(), unix.SIGKILL)
		if left := settled(func() string { return present(cmd.Pid()) }); left != "" {
			t.Errorf("%s is still there", left)
		}
	})
}
