package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A pipeConn is a connection over two pipes, which carries no descriptors: as through ssh.
type pipeConn struct {
	net.Conn // nil: nothing else of it is used
	in       io.WriteCloser
	out      io.ReadCloser
}

func (p *pipeConn) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *pipeConn) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p *pipeConn) CloseWrite() error           { return p.in.Close() }
func (p *pipeConn) Close() error                { return errors.Join(p.in.Close(), p.out.Close()) }

// startOver starts a supervisor that is connected by two pipes.
func startOver(t *testing.T, mode string, o Options) *Conn {
	t.Helper()
	if mode == "cgroup" {
		start(t, mode, Options{}) // skips, or fails, where there is none
	}
	cmd := exec.Command(supervise, "serve", "--contain", mode)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	c := connect(t, &pipeConn{in: in, out: out}, o)
	if c.Has("fds") {
		t.Error("it says that descriptors can be passed")
	}
	return c
}

// eachWay is eachMode, by a socket and by pipes.
func eachWay(t *testing.T, test func(t *testing.T, c *Conn)) {
	eachMode(t, test)
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode+" over pipes", func(t *testing.T) { test(t, startOver(t, mode, Options{})) })
	}
}

// TestStdioBothWays: what os/exec's fields do is the same over the connection.
func TestStdioBothWays(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.CommandContext(limit(t), "cat")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.Output(); err != nil || string(out) != text {
			t.Errorf("cat: %d bytes, %v", len(out), err)
		}
		cmd = c.CommandContext(limit(t), "true") // does not want it
		cmd.Stdin = strings.NewReader(text)
		if err := cmd.Run(); err != nil {
			t.Errorf("true: %v", err)
		}
		if out, err := c.sh(t, "echo 1; echo 2 >&2; echo 3").CombinedOutput(); err != nil || string(out) != "1\n2\n3\n" {
			t.Errorf("combined: %q, %v", out, err)
		}
		var bad bytes.Buffer
		cmd = c.sh(t, "head -c 3; echo e >&2; exit 4")
		cmd.Stdin, cmd.Stderr = strings.NewReader("abcdef"), &bad
		out, err := cmd.Output()
		if e := (*ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 4 || string(out) != "abc" || bad.String() != "e\n" {
			t.Errorf("head: %q, %q, %v", out, &bad, err)
		}
	})
}

// TestPipesBothWays: a conversation with a job, and its end by Close.
func TestPipesBothWays(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `while read x; do echo "got $x"; done; echo end >&2`)
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		bad, err3 := cmd.StderrPipe()
		if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			fmt.Fprintln(in, i)
			var got, n string
			if _, err := fmt.Fscanln(out, &got, &n); err != nil || n != fmt.Sprint(i) {
				t.Errorf("got %q %q, %v", got, n, err)
			}
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if _, err := in.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		rest, _ := io.ReadAll(out)
		end, _ := io.ReadAll(bad)
		if err := cmd.Wait(); err != nil || len(rest) > 0 || string(end) != "end\n" {
			t.Errorf("got %q, %q, %v", rest, end, err)
		}
	})
}

// TestInputBroken: the job has closed its end, and then it has ended.
func TestInputBroken(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `exec <&-; echo; sleep 1000`)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err := errors.Join(err, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		out.Read(make([]byte, 1))
		// Of an ordinary pipe a child of this process, a server of another test, may have the other end as well until it has
		// executed its program.
		for until := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			_, err := in.Write([]byte("x"))
			if errors.Is(err, syscall.EPIPE) {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("closed: %v", err)
			}
		}
		if err := cmd.Kill(); err != nil {
			t.Error(err)
		}
		<-cmd.job.ended
		if _, err := in.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("ended: %v", err)
		}
		cmd.Wait()
	})
}

// TestWindow: a job whose output is not read waits, the others do not, and the memory here is
// bounded.
func TestWindow(t *testing.T) {
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode, func(t *testing.T) {
			c := startOver(t, mode, Options{})
			slow := c.sh(t, "head -c 8000000 /dev/zero")
			out, err := slow.StdoutPipe()
			if err := errors.Join(err, slow.Start()); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				if out, err := c.sh(t, "head -c 100000 /dev/zero").Output(); err != nil || len(out) != 100_000 {
					t.Fatalf("beside it: %d bytes, %v", len(out), err)
				}
			}
			s := out.(*stream)
			s.mu.Lock()
			n := s.text.Len()
			s.mu.Unlock()
			if n > streamWindow || slow.Ended() != nil {
				t.Errorf("%d bytes are here", n)
			}
			sum := sha256.New()
			if n, err := io.Copy(sum, out); err != nil || n != 8_000_000 {
				t.Errorf("%d bytes, %v", n, err)
			}
			if err := slow.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStreamClosed: what is not wanted holds nobody up.
func TestStreamClosed(t *testing.T) {
	c := startOver(t, "subreaper", Options{})
	cmd := c.sh(t, "head -c 3000000 /dev/zero")
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if n, err := out.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d, %v", n, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	broken := c.sh(t, "head -c 3000000 /dev/zero")
	broken.Stdout = brokenWriter{}
	if err := broken.Run(); !errors.Is(err, bytes.ErrTooLarge) {
		t.Errorf("a broken writer: %v", err)
	}
}

// TestStreamLost: a Read ends with the connection.
func TestStreamLost(t *testing.T) {
	c := startOver(t, "subreaper", Options{})
	cmd := c.sh(t, "echo; sleep 1000")
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 1))
	read := make(chan error)
	go func() {
		_, err := out.Read(make([]byte, 1))
		read <- err
	}()
	syscall.Kill(c.Hello().PID, syscall.SIGKILL)
	if err := <-read; !errors.Is(err, ErrLost) {
		t.Errorf("Read: %v", err)
	}
	if err := cmd.Wait(); !errors.Is(err, ErrLost) {
		t.Errorf("Wait: %v", err)
	}
}

// TestReadIsNoEvent: but what a Capture gets is one, as ever.
func TestReadIsNoEvent(t *testing.T) {
	c := startOver(t, "subreaper", Options{Events: 100})
	cmd := c.sh(t, "echo text; echo text >&2")
	cmd.Stderr = &Capture{}
	if out, err := cmd.Output(); err != nil || string(out) != "text\n" {
		t.Fatalf("%q, %v", out, err)
	}
	c.Close()
	var told []int
	for e := range c.Events() {
		if o, ok := e.Params.(*protocol.JobOutput); ok {
			told = append(told, o.FD)
		}
	}
	if !slices.Equal(told, []int{2}) {
		t.Errorf("told of descriptors %v", told)
	}
}

// TestStreamAndEvents: unread events do not hold up a Read for ever.
func TestStreamAndEvents(t *testing.T) {
	c := startOver(t, "subreaper", Options{Events: 1, Patience: time.Millisecond})
	cmd := c.sh(t, "kill -STOP $$; echo text")
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	go func() { // the stop may have come before, or after
		for cmd.Ended() == nil && cmd.Signal(syscall.SIGCONT) == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	if text, err := io.ReadAll(out); err != nil || string(text) != "text\n" {
		t.Errorf("%q, %v", text, err)
	}
	cmd.Wait()
}

// TestContextEndsInput: a job that does not read is no reason to hang.
func TestContextEndsInput(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithCancel(limit(t))
		cmd := c.CommandContext(ctx, "sleep", "1000")
		cmd.Stdin = io.LimitReader(zeros{}, 4<<20)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := cmd.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestFilesOver: those that cannot be passed are copied, and ExtraFiles are refused.
func TestFilesOver(t *testing.T) {
	c := startOver(t, "subreaper", Options{})
	in, err1 := os.Open("over_test.go")
	out, err2 := os.CreateTemp(t.TempDir(), "out")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	cmd := c.Command("cat")
	cmd.Stdin, cmd.Stdout = in, out
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	want, _ := os.ReadFile(in.Name())
	if got, _ := os.ReadFile(out.Name()); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	cmd = c.Command("cat")
	cmd.ExtraFiles = []*os.File{in}
	if err := cmd.Run(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ExtraFiles: %v", err)
	}
}
