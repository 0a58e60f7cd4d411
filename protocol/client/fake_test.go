package client

import (
	"bufio"
	"encoding/json"
	"net"
	"reflect"
	"strings"
	"testing"
)

// A fake is a supervisor that follows a script. A line of it is what the client must
// send ("> "), what it gets ("< "), the same without the end of the line ("<<"), or
// "wait", which lasts until Go is closed and closes Asked. At the end of the script the
// fake reads on until the client hangs up, unless the last line is "close".
type fake struct {
	*testing.T
	sock  net.Conn
	lines *bufio.Reader
	Go    chan struct{}
	Asked chan struct{}
	ended chan struct{}
}

const (
	helloRequest = `> {"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}`
	helloAnswer  = `< {"jsonrpc":"2.0","id":1,"result":{"version":1,"server":"fake","pid":1,"containment":"cgroup","features":["fds"]}}`
)

// hello is what every conversation begins with.
func hello(script string) string { return helloRequest + "\n" + helloAnswer + "\n" + script }

// startFake plays a script to the connection that it returns.
func startFake(t *testing.T, script string) (*fake, net.Conn) {
	t.Helper()
	sock, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	c, err := net.FileConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	return fakeOn(t, c, script), sock
}

// fakeOn plays a script on a connection.
func fakeOn(t *testing.T, sock net.Conn, script string) *fake {
	f := &fake{T: t, sock: sock, lines: bufio.NewReader(sock), Go: make(chan struct{}), Asked: make(chan struct{}), ended: make(chan struct{})}
	go f.play(script) // ends with the script, or the connection
	t.Cleanup(func() { <-f.ended })
	return f
}

func (f *fake) play(script string) {
	defer close(f.ended)
	defer f.sock.Close()
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "wait":
			close(f.Asked)
			<-f.Go
		case line == "close":
			return
		case strings.HasPrefix(line, "> "):
			if !f.expect(line[2:]) {
				return
			}
		case strings.HasPrefix(line, "<<"):
			f.sock.Write([]byte(line[2:]))
		default:
			f.sock.Write([]byte(strings.TrimPrefix(line[1:], " ") + "\n"))
		}
	}
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return
		}
		f.Errorf("it was not expected to send %s", line)
	}
}

// expect compares as JSON.
func (f *fake) expect(want string) bool {
	got, err := f.lines.ReadString('\n')
	if err != nil {
		f.Errorf("%v, want %s", err, want)
		return false
	}
	var w, g any
	if json.Unmarshal([]byte(want), &w) != nil || json.Unmarshal([]byte(got), &g) != nil || !reflect.DeepEqual(w, g) {
		f.Errorf("it sent %swant %s", got, want)
		return false
	}
	return true
}

// converse connects to a fake.
func converse(t *testing.T, o Options, script string) (*fake, *Conn) {
	t.Helper()
	f, sock := startFake(t, hello(script))
	return f, connect(t, sock, o)
}

// converseInBubble connects to a fake within a bubble of testing/synctest. There the connection is no socket: a bubble
// does not know when a goroutine waits for one.
func converseInBubble(t *testing.T, o Options, script string) (*fake, *Conn) {
	t.Helper()
	sock, theirs := net.Pipe()
	f := fakeOn(t, theirs, hello(script))
	return f, connect(t, sock, o)
}

func connect(t *testing.T, sock net.Conn, o Options) *Conn {
	t.Helper()
	c, err := NewConn(t.Context(), sock, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
