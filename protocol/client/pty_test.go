package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestPty: a session of a shell, its size, Ctrl-C, and the end.
func TestPty(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		cmd := c.sh(t, `stty -echo; trap 'stop=1' INT; test -t 0 && test -t 1 && test -t 2 && stty size; `+
			`read x; echo "got $x"; stty size; echo ready; until [ "$stop" ]; do sleep 0.01; done; echo interrupted; read y || echo bye`)
		cmd.Pty = &Pty{Rows: 30, Cols: 100}
		if _, err := cmd.Pty.Write(nil); err != errNotStarted {
			t.Error(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(cmd.Pty)
		expect := func(want string) {
			t.Helper()
			if !lines.Scan() || lines.Text() != want {
				t.Fatalf("got %q, %v, want %q", lines.Text(), lines.Err(), want)
			}
		}
		expect("30 100")
		if err := cmd.Pty.Resize(40, 120); err != nil {
			t.Error(err)
		}
		fmt.Fprint(cmd.Pty, "a line\r")
		expect("got a line")
		expect("40 120")
		expect("ready")
		fmt.Fprint(cmd.Pty, "\x03")
		expect("interrupted")
		if err := cmd.Pty.TypeEOF(); err != nil {
			t.Error(err)
		}
		expect("bye")
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if err := cmd.Pty.Resize(1, 1); err == nil {
			t.Error("it can be resized after its end")
		}
	})
}

// TestPtyCopied: by Stdin and Stdout.
func TestPtyCopied(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		var out bytes.Buffer
		cmd := c.sh(t, `stty -echo -onlcr; echo ready >&2; cat; echo end`)
		cmd.Pty, cmd.Stdin = &Pty{}, strings.NewReader("one\ntwo\n")
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil || !strings.HasSuffix(out.String(), "one\ntwo\nend\n") {
			t.Errorf("%q, %v", &out, err)
		}
	})
}

// TestPtyKept: a session that is looked at now and then.
func TestPtyKept(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Conn) {
		kept := &Kept{Size: 1000}
		cmd := c.sh(t, `echo screen; read x`)
		cmd.Pty, cmd.Stdout = &Pty{}, kept
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if r, err := kept.Follow(limit(t), 0); err != nil || !strings.HasPrefix("screen\r\n", string(r.Data)) {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := cmd.Pty.Read(make([]byte, 1)); err != errPipeSet {
			t.Errorf("Read: %v", err)
		}
		if err := cmd.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait()
	})
}

// TestPtyRefused: what makes no sense.
func TestPtyRefused(t *testing.T) {
	_, c := converse(t, Options{}, "")
	for name, set := range map[string]func(*Cmd){
		"Stderr":  func(c *Cmd) { c.Stderr = &bytes.Buffer{} },
		"Capture": func(c *Cmd) { c.Stdout = &Capture{} },
		"pipe":    func(c *Cmd) { c.StdoutPipe() },
		"stdin":   func(c *Cmd) { c.StdinPipe() },
		"feature": func(*Cmd) {},
	} {
		cmd := c.Command("true")
		cmd.Pty = &Pty{}
		set(cmd)
		err := cmd.Start()
		if err == nil || (name == "feature") != errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
