package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

const (
	spawnTrue   = `> {"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["true"],"stdio":[{"null":true},{"null":true},{"null":true}]}}`
	spawned     = `< {"jsonrpc":"2.0","id":2,"result":{"job":7,"pid":70,"cgroup":null,"limits":[],"unenforced":[]}}`
	startedNote = `< {"jsonrpc":"2.0","method":"started","params":{"job":7,"pid":70,"name":"true","time":"2026-01-01T00:00:00.000000000Z"}}`
	endedNote   = `< {"jsonrpc":"2.0","method":"ended","params":{"job":7,"record":{"cause":"exited","exit":{"code":0,"signal":null,"core":false}}}}`
	endedBadly  = `< {"jsonrpc":"2.0","method":"ended","params":{"job":7,"record":{"cause":"timeout","exit":{"code":null,"signal":"SIGTERM","core":false}}}}`
)

func lines(l ...string) string { return strings.Join(l, "\n") }

// refused is a fake's answer to the spawn.
func refused(err string) string {
	return lines(spawnTrue, `< {"jsonrpc":"2.0","id":2,"error":`+err+`}`)
}

func run(c *Conn) error { return c.Command("true").Run() }

// conversations are what is said, what the user does meanwhile, and what becomes of it.
var conversations = []struct {
	name   string
	script string
	do     func(*Conn) error
	is     []error // each errors.Is; none: no error
	text   string  // part of the error's
}{
	{"a job", lines(spawnTrue, spawned, startedNote, endedNote), run, nil, ""},
	{"all in one write", lines(spawnTrue, `<<`+spawned[2:], "<", startedNote, endedNote), run, nil, ""},
	{"in pieces", lines(spawnTrue, `<<`+spawned[2:30], `<<`+spawned[30:], "<", startedNote, endedNote), run, nil, ""},
	{"a bad end", lines(spawnTrue, spawned, startedNote, endedBadly), run, []error{}, "timeout (signal: SIGTERM)"},
	{"not there", refused(`{"code":-32005,"message":"true: no such file","data":{"errno":"ENOENT"}}`), run,
		[]error{exec.ErrNotFound, fs.ErrNotExist, syscall.ENOENT}, "starting true: true: no such file"},
	{"no such directory", refused(`{"code":-32005,"message":"/x: no such directory","data":{"field":"cwd","errno":"ENOENT"}}`), run,
		[]error{fs.ErrNotExist}, "/x: no such directory"},
	{"not executable", refused(`{"code":-32006,"message":"permission denied","data":{"errno":"EACCES"}}`), run,
		[]error{fs.ErrPermission, syscall.EACCES}, "permission denied"},
	{"no limits here", refused(`{"code":-32008,"message":"no limits","data":{"field":"limits"}}`), run, []error{errors.ErrUnsupported}, "no limits"},
	{"an unknown code, no data", refused(`{"code":-5,"message":"what"}`), run, []error{}, "what"},
	{"unknown notifications and fields", lines(spawnTrue, spawned, startedNote,
		`< {"jsonrpc":"2.0","method":"eclipse","params":{"job":7,"sun":[]}}`, `< {"jsonrpc":"2.0","method":"eclipse"}`,
		`< {"jsonrpc":"2.0","id":9,"method":"ask","params":{}}`, `< {"jsonrpc":"2.0","id":99,"result":{}}`,
		strings.Replace(endedNote, `"job":7`, `"job":7,"new":{}`, 1)), run, nil, ""},
	{"EOF before an answer", lines(spawnTrue, "close"), run, []error{ErrLost}, "has closed the connection"},
	{"EOF in the middle of a line", lines(spawnTrue, `<<{"jsonrpc":"2.0","id`, "close"), run, []error{ErrLost, io.ErrUnexpectedEOF}, ""},
	{"EOF while a job runs", lines(spawnTrue, spawned, startedNote, "close"), run, []error{ErrLost}, ""},
	{"no JSON", lines(spawnTrue, `< hello there`), run, []error{ErrLost}, "reading a message"},
	{"an empty line", lines(spawnTrue, `< `), run, []error{ErrLost}, "reading a message"},
	{"another protocol", lines(spawnTrue, `< {"id":2,"result":{}}`), run, []error{ErrLost}, "not JSON-RPC 2.0"},
	{"an array", lines(spawnTrue, `< [{"jsonrpc":"2.0","id":2,"result":{}}]`), run, []error{ErrLost}, "reading a message"},
	{"a strange id", lines(spawnTrue, `< {"jsonrpc":"2.0","id":"two","result":{}}`), run, []error{ErrLost}, "its id is"},
	{"a strange result", lines(spawnTrue, `< {"jsonrpc":"2.0","id":2,"result":[]}`), run, []error{}, "cannot unmarshal"},
	{"strange parameters", lines(spawnTrue, spawned, `< {"jsonrpc":"2.0","method":"ended","params":{"job":"seven"}}`), run, []error{ErrLost}, "reading ended"},
	{"no record", lines(spawnTrue, spawned, `< {"jsonrpc":"2.0","method":"ended","params":{"job":7}}`), run, []error{ErrLost}, "there is no record"},
	{"not understood", lines(spawnTrue, `< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no JSON"}}`), run, []error{ErrLost}, "not understood: no JSON"},
	{"a huge line", lines(spawnTrue, spawned, startedNote, strings.Replace(endedNote, `"job":7`, `"job":7,"new":"`+strings.Repeat("x", 3<<20)+`"`, 1)), run, nil, ""},
	{"a request that is too long", "", func(c *Conn) error { return c.Command("true", strings.Repeat("x", protocol.MaxRequest)).Run() }, []error{syscall.E2BIG}, "more than 16777216"},
	{"after the end", lines(spawnTrue, spawned, startedNote, endedNote), func(c *Conn) error {
		cmd := c.Command("true")
		return errors.Join(cmd.Run(), cmd.Kill())
	}, []error{os.ErrProcessDone}, ""},
	{"the end while it is told", lines(spawnTrue, spawned, startedNote, `> {"jsonrpc":"2.0","id":3,"method":"freeze","params":{"job":7}}`,
		`< {"jsonrpc":"2.0","id":3,"error":{"code":-32004,"message":"no job 7"}}`), func(c *Conn) error {
		cmd := c.Command("true")
		return errors.Join(cmd.Start(), cmd.Freeze())
	}, []error{os.ErrProcessDone}, "freeze: no job 7"},
	{"detached", lines(spawnTrue, spawned, startedNote, `> {"jsonrpc":"2.0","id":3,"method":"detach","params":{"job":7}}`,
		`< {"jsonrpc":"2.0","id":3,"result":{"unit":"u","cgroup":"/u"}}`), func(c *Conn) error {
		cmd := c.Command("true")
		err := cmd.Start()
		_, detaching := cmd.Detach()
		return errors.Join(err, detaching, cmd.Wait())
	}, []error{ErrDetached}, ""},
	{"closed", "", func(c *Conn) error { return errors.Join(c.Close(), run(c)) }, []error{ErrClosed}, ""},
	{"no UTF-8", lines(strings.Replace(spawnTrue, `"true"`, `"true",{"base64":"/w=="}`, 1), spawned, startedNote, endedNote),
		func(c *Conn) error { return c.Command("true", "\xff").Run() }, nil, ""},
	{"a tag that is not UTF-8", "", func(c *Conn) error {
		cmd := c.Command("true")
		cmd.Tags = map[string]string{"t": "\xff"}
		return cmd.Run()
	}, []error{}, "is not UTF-8"},
	{"an environment that is none", "", func(c *Conn) error {
		cmd := c.Command("true")
		cmd.Env = []string{"HOME"}
		return cmd.Run()
	}, []error{}, "has no ="},
}

func TestConversations(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			_, c := converse(t, Options{}, tt.script)
			err := tt.do(c)
			if (err == nil) != (tt.is == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %q, want %q in it", err, tt.text)
			}
		})
	}
}

// TestHelloFails: it fails, and nothing of the connection is left.
func TestHelloFails(t *testing.T) {
	for name, script := range map[string]string{
		"eof":              "close",
		"no answer":        lines(helloRequest, "wait"),
		"another version":  lines(helloRequest, `< {"jsonrpc":"2.0","id":1,"result":{"version":2}}`),
		"a refusal":        lines(helloRequest, `< {"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no common version"}}`),
		"another protocol": lines(helloRequest, `< 220 ready`),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f, sock := startFake(t, script)
			if name == "no answer" {
				go func() { // ends when the fake has the request, as the script says
					<-f.Asked
					cancel()
					close(f.Go)
				}()
			}
			if c, err := NewConn(ctx, sock, Options{}); err == nil {
				t.Errorf("it said %+v", c.Hello())
			}
		})
	}
}

// TestEverythingAsked: each field is told by its name.
func TestEverythingAsked(t *testing.T) {
	_, c := converse(t, Options{}, `
> {"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["a","b"],"path":"/bin/x","cwd":"/","env":{"K":"2","E":""},"stdio":[{"null":true},{"capture":{"limit":10}},{"dup":1},{"null":true}],"name":"n","tags":{"t":"1"},"limits":{"memory-max":"1G"},"best_effort":true,"delegate":true,"timeout":1.5,"cpu_timeout":60,"grace":0,"signal":"SIGINT","leftovers":"wait","notify":["oom"],"sample":0.25}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32009,"message":"shutting down"}}
`)
	cmd := c.Command("a", "b")
	cmd.Path, cmd.Dir, cmd.Env = "/bin/x", "/", []string{"K=1", "E=", "K=2"}
	out := &Capture{Limit: 10}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, out, []*os.File{nil}
	cmd.Name, cmd.Tags = "n", map[string]string{"t": "1"}
	cmd.Limits, cmd.BestEffort, cmd.Delegate = map[string]string{"memory-max": "1G"}, true, true
	cmd.Timeout, cmd.CPUTimeout, cmd.Grace, cmd.StopSignal = 1500*time.Millisecond, time.Minute, -1, syscall.SIGINT
	cmd.Leftovers, cmd.Notify, cmd.Sample = protocol.LeftoversWait, []string{protocol.NotifyOOM}, 250*time.Millisecond
	var refusal *protocol.Error
	if err := cmd.Start(); !errors.As(err, &refusal) || refusal.Code != protocol.CodeShuttingDown {
		t.Errorf("got %v", err)
	}
}

// TestOddlyAsked: bytes that are no text, an environment of nothing, and times that are over.
func TestOddlyAsked(t *testing.T) {
	_, c := converse(t, Options{}, `
> {"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["a"],"path":{"base64":"/w=="},"cwd":{"base64":"/w=="},"env":{},"stdio":[{"null":true},{"null":true},{"null":true}],"name":{"base64":"/w=="},"timeout":1e-9,"cpu_timeout":1e-9}}
< {"jsonrpc":"2.0","id":2,"error":{"code":-32009,"message":"shutting down"}}
> {"jsonrpc":"2.0","id":3,"method":"spawn","params":{"argv":["a"],"env":[{"base64":"QT3/"}],"stdio":[{"null":true},{"null":true},{"null":true}]}}
< {"jsonrpc":"2.0","id":3,"error":{"code":-32009,"message":"shutting down"}}
> {"jsonrpc":"2.0","id":4,"method":"shutdown","params":{"grace":0}}
< {"jsonrpc":"2.0","id":4,"result":{}}
`)
	cmd := c.Command("a")
	cmd.Path, cmd.Dir, cmd.Name, cmd.Env = "\xff", "\xff", "\xff", []string{}
	cmd.Timeout, cmd.CPUTimeout = time.Until(time.Now().Add(-time.Hour)), -1
	forever := c.Command("a")
	forever.Env, forever.Timeout = []string{"A=\xff"}, math.MaxInt64
	for _, cmd := range []*Cmd{cmd, forever} {
		var refusal *protocol.Error
		if err := cmd.Start(); !errors.As(err, &refusal) || refusal.Code != protocol.CodeShuttingDown {
			t.Errorf("got %v", err)
		}
	}
	if err := c.Shutdown(t.Context(), -1); err != nil {
		t.Error(err)
	}
}
