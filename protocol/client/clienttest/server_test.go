package clienttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
	"github.com/seed-c1490a04/supervise/protocol/client"
)

// connect connects to a server, and sees to it that nothing is left.
func connect(t *testing.T, s *Server, o client.Options) *client.Conn {
	t.Helper()
	c, err := s.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		s.Wait()
	})
	return c
}

// cat is a Program.
func cat(p *Process) Exit {
	io.Copy(p.Stdout, p.Stdin)
	return 0
}

// TestThroughTheClient: what the client has works with functions in place of commands.
func TestThroughTheClient(t *testing.T) {
	s := NewServer()
	s.Handle("cat", cat)
	s.HandleCommand(Script{Stdout: "out\n", Stderr: "err\n", Exit: 3}.Run, "make", "-j8")
	s.Handle("yes", func(p *Process) Exit {
		for {
			if _, err := io.WriteString(p.Stdout, strings.Repeat("y\n", 4096)); err != nil {
				return Signaled(syscall.SIGPIPE)
			}
		}
	})
	c := connect(t, s, client.Options{})

	cmd := c.Command("cat")
	text := strings.Repeat("0123456789abcdef", 1<<15)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.Output(); err != nil || string(out) != text {
		t.Errorf("cat: %d bytes, %v", len(out), err)
	}
	cmd = c.Command("cat")
	cmd.PipeTo = []*client.Cmd{client.Command("cat"), client.Command("cat")}
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.Output(); err != nil || string(out) != text || len(cmd.Ended().Commands) != 3 {
		t.Errorf("cat | cat | cat: %d bytes, %v", len(out), err)
	}
	out, err := c.Command("make", "-j8").Output()
	if e := (*client.ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 3 || string(out) != "out\n" || string(e.Stderr) != "err\n" {
		t.Errorf("make: %q, %v", out, err)
	}
	if err := c.Command("gcc").Run(); !errors.Is(err, exec.ErrNotFound) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("gcc: %v", err)
	}
	yes := c.Command("yes")
	r, err := yes.StdoutPipe()
	if err := errors.Join(err, yes.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r, 1<<20); err != nil {
		t.Error(err)
	}
	if k, err := yes.KillWait(t.Context()); err != nil || len(k.Killed) != 1 || k.Killed[0].PID != yes.Pid() {
		t.Errorf("KillWait: %+v, %v", k, err)
	}
	if err := yes.Wait(); err == nil {
		t.Error("it was not killed")
	}
}

// TestByHand: a job does nothing before the test says so.
func TestByHand(t *testing.T) {
	s := NewServer()
	up, stop := make(chan struct{}), make(chan struct{})
	s.Handle("httpd", func(p *Process) Exit {
		p.WaitFor(up)
		p.Ready("listening")
		p.WaitFor(stop)
		return 0
	})
	c := connect(t, s, client.Options{})
	cmd := c.Command("httpd")
	cmd.Notify = []string{protocol.NotifyReady}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cmd.Ready(ctx); err != context.Canceled {
		t.Errorf("it is ready: %v", err)
	}
	close(up)
	if r, err := cmd.Ready(t.Context()); err != nil || r.Status != "listening" {
		t.Errorf("%+v, %v", r, err)
	}
	close(stop)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestTimeout: in a bubble an hour takes no time.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer()
		s.Handle("sleep", func(p *Process) Exit {
			p.Ignore(syscall.SIGTERM)
			return Sleep(p)
		})
		c := connect(t, s, client.Options{})
		cmd := c.Command("sleep")
		cmd.Timeout, cmd.Grace = time.Hour, time.Minute
		begun := time.Now()
		if err := cmd.Run(); err == nil || cmd.Record().Cause != protocol.CauseTimeout || cmd.Record().Exit.Signal == nil {
			t.Errorf("%v", err)
		}
		if d := time.Since(begun); d != time.Hour+time.Minute {
			t.Errorf("it took %v", d)
		}
	})
}

// TestTerminal: a session.
func TestTerminal(t *testing.T) {
	s := NewServer()
	s.Handle("vi", func(p *Process) Exit {
		sizes := p.Notify(syscall.SIGWINCH)
		rows, cols := p.Size()
		io.WriteString(p.Stdout, string(rune('A'+rows))+string(rune('A'+cols)))
		<-sizes
		rows, cols = p.Size()
		io.WriteString(p.Stdout, string(rune('A'+rows))+string(rune('A'+cols)))
		b, err := io.ReadAll(p.Stdin)
		if err != nil || string(b) != "q" {
			return 1
		}
		return Sleep(p)
	})
	c := connect(t, s, client.Options{})
	cmd := c.Command("vi")
	cmd.Pty = &client.Pty{Rows: 1, Cols: 2}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	if _, err := io.ReadFull(cmd.Pty, b); err != nil || string(b) != "BC" {
		t.Errorf("%q, %v", b, err)
	}
	if err := cmd.Pty.Resize(3, 4); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(cmd.Pty, b); err != nil || string(b) != "DE" {
		t.Errorf("%q, %v", b, err)
	}
	io.WriteString(cmd.Pty, "q")
	cmd.Pty.TypeEOF()
	io.WriteString(cmd.Pty, "\x03")
	if err := cmd.Wait(); err == nil || err.Error() != "signal: SIGINT" {
		t.Errorf("%v", err)
	}
}

// TestOlderServer: features can be withheld.
func TestOlderServer(t *testing.T) {
	s := NewServer()
	s.Handle("true", Script{}.Run)
	s.Features = []string{"base64"}
	c := connect(t, s, client.Options{})
	cmd := c.Command("true")
	cmd.Pty = &client.Pty{}
	if err := cmd.Run(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if err := c.Command("true").Run(); err != nil {
		t.Error(err)
	}
}

// TestEndOfOwner: Close ends all, and its records are told.
func TestEndOfOwner(t *testing.T) {
	s := NewServer()
	s.Handle("sleep", Sleep)
	c, err := s.Connect(t.Context(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := c.Command("sleep")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.Wait()
	if err := cmd.Wait(); err == nil || cmd.Record() == nil || cmd.Record().Cause != protocol.CauseOwnerGone {
		t.Errorf("%v, %+v", err, cmd.Record())
	}
	if err := cmd.Kill(); !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// TestKept: of a job that has ended.
func TestKept(t *testing.T) {
	s := NewServer()
	s.Handle("seq", Script{Stdout: "1\n2\n3\n"}.Run)
	c := connect(t, s, client.Options{})
	kept := &client.Kept{Size: 4}
	cmd := c.Command("seq")
	cmd.Stdout = kept
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(kept.Reader(t.Context(), 2)); err != nil || !bytes.Equal(b, []byte("2\n3\n")) {
		t.Errorf("%q, %v", b, err)
	}
}
