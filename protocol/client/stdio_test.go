package client

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOutput(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		out, err := c.sh(t, "echo out; echo err >&2; exit 4").Output()
		var exit *ExitError
		if !errors.As(err, &exit) || string(out) != "out\n" || string(exit.Stderr) != "err\n" || exit.ExitCode() != 4 {
			t.Errorf("got %q, %v", out, err)
		}
		if out, err := c.sh(t, "echo 1; echo 2 >&2; echo 3").CombinedOutput(); err != nil || string(out) != "1\n2\n3\n" {
			t.Errorf("combined: %q, %v", out, err)
		}
	})
}

// TestCopying: what goes in comes out, all of it.
func TestCopying(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		text := strings.Repeat("0123456789abcdef\n", 1<<16)
		cmd := c.Command("cat")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.Output(); err != nil || string(out) != text {
			t.Errorf("%d bytes, %v", len(out), err)
		}
		cmd = c.Command("true") // does not want it
		cmd.Stdin = strings.NewReader(text)
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestPipes(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, "cat; echo end >&2")
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		bad, err3 := cmd.StderrPipe()
		if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, "to and fro")
		in.Close()
		got, _ := io.ReadAll(out)
		end, _ := io.ReadAll(bad)
		if err := cmd.Wait(); err != nil || string(got) != "to and fro" || string(end) != "end\n" {
			t.Errorf("got %q, %q, %v", got, end, err)
		}
	})
}

// TestFiles: they become the job's, and stay the user's.
func TestFiles(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		in := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(in, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		from, err1 := os.Open(in)
		to, err2 := os.Create(in + ".out")
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		cmd := c.sh(t, "cat; cat <&4; readlink /proc/self/fd/3")
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = from, to, to, []*os.File{nil, from}
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(from.Close(), to.Close()); err != nil {
			t.Error(err)
		}
		if got, _ := os.ReadFile(in + ".out"); string(got) != "text/dev/null\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCapture(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		out, both := &Capture{Limit: 5, Wait: true}, &Capture{}
		cmd := c.sh(t, "echo 123456789")
		cmd.Stdout = out
		if err := cmd.Run(); err != nil || out.String() != "12345" || out.Dropped() != 5 {
			t.Errorf("got %q, %d dropped, %v", out, out.Dropped(), err)
		}
		cmd = c.sh(t, "echo 1; echo 2 >&2")
		cmd.Stdout, cmd.Stderr = both, both
		if err := cmd.Run(); err != nil || both.String() != "1\n2\n" || both.Dropped() != 0 {
			t.Errorf("got %q, %v", both, err)
		}
	})
}

func TestEnvironment(t *testing.T) {
	eachMode(t, func(t *testing.T, c *Conn) {
		dir := t.TempDir()
		cmd := c.sh(t, "echo $A $B; pwd")
		cmd.Env, cmd.Dir = []string{"A=1", "B=2", "A=3", "PATH=" + os.Getenv("PATH")}, dir
		if out, err := cmd.Output(); err != nil || string(out) != "3 2\n"+dir+"\n" {
			t.Errorf("got %q, %v", out, err)
		}
	})
}

// TestWaitDelay: a Reader that blocks holds Wait up no longer than that.
func TestWaitDelay(t *testing.T) {
	c := start(t, "subreaper", Options{})
	r, w := io.Pipe()
	cmd := c.Command("true")
	cmd.Stdin, cmd.WaitDelay = r, time.Millisecond
	if err := cmd.Run(); !errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("got %v", err)
	}
	w.Close() // lets the goroutine go
}

// TestBrokenWriter: its error is Wait's, and the job learns of it by SIGPIPE.
func TestBrokenWriter(t *testing.T) {
	c := start(t, "subreaper", Options{})
	cmd := c.Command("yes")
	cmd.Stdout = brokenWriter{}
	var exit *ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.Error() != "signal: SIGPIPE" {
		t.Errorf("got %v", err)
	}
	cmd = c.Command("echo")
	cmd.Stdout = brokenWriter{}
	if err := cmd.Run(); !errors.Is(err, bytes.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }
