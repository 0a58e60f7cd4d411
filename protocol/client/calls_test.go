package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
	"golang.org/x/sys/unix"
)

// TestOutOfOrder: answers find their calls.
func TestOutOfOrder(t *testing.T) {
	const many = 50
	ours, theirs := net.Pipe()
	go answerBackwards(theirs, many) // ends when the client hangs up
	c, err := NewConn(t.Context(), ours, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			var got int
			if err := c.Call(t.Context(), "echo", i, &got); err != nil || got != i {
				t.Errorf("got %d, %v, want %d", got, err, i)
			}
		})
	}
	wg.Wait()
}

// answerBackwards says hello, and answers the next n requests, the last first, with
// their parameters.
func answerBackwards(sock net.Conn, n int) {
	defer sock.Close()
	in := json.NewDecoder(sock)
	answers := []string{}
	for in.More() {
		var m protocol.Message
		if in.Decode(&m) != nil {
			return
		}
		if m.Method == protocol.MethodHello {
			fmt.Fprintf(sock, `{"jsonrpc":"2.0","id":%s,"result":{"version":1}}`+"\n", m.ID)
			continue
		}
		answers = append([]string{fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", m.ID, m.Params)}, answers...)
		if len(answers) == n {
			for _, a := range answers {
				sock.Write([]byte(a))
			}
		}
	}
}

// TestAbandonedCall: the context ends the call, not the connection.
func TestAbandonedCall(t *testing.T) {
	f, c := converse(t, Options{}, lines(`> {"jsonrpc":"2.0","id":2,"method":"list"}`, "wait", `< {"jsonrpc":"2.0","id":2,"result":{"jobs":[]}}`,
		`> {"jsonrpc":"2.0","id":3,"method":"list"}`, `< {"jsonrpc":"2.0","id":3,"result":{"jobs":[{"job":5}]}}`))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.Asked
		cancel()
	}()
	if _, err := c.List(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	close(f.Go)
	if jobs, err := c.List(t.Context()); err != nil || len(jobs) != 1 || jobs[0].Job != 5 {
		t.Errorf("got %v, %v", jobs, err)
	}
}

// TestAbandonedSpawn: the client ends a job whose caller has given up.
func TestAbandonedSpawn(t *testing.T) {
	f, c := converse(t, Options{}, lines(spawnTrue, "wait", spawned, startedNote, `> {"jsonrpc":"2.0","method":"kill","params":{"job":7}}`, endedNote, "close"))
	ctx, cancel := context.WithCancel(t.Context())
	cmd := c.CommandContext(ctx, "true")
	go func() {
		<-f.Asked
		cancel()
	}()
	if err := cmd.Start(); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	close(f.Go)
	<-c.Done()
	if err := cmd.Wait(); err != errNotStarted {
		t.Errorf("Wait: %v", err)
	}
}

// TestDescriptorsGo: they come with the request, and ours are closed then.
func TestDescriptorsGo(t *testing.T) {
	sock, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	defer sock.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := send(sock, []byte("line\n"), []*os.File{w}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := unix.Recvmsg(int(theirs.Fd()), b, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || string(b[:n]) != "line\n" {
		t.Fatalf("got %q, %v", b[:n], err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("got %v, %v", fds, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v: a job expects a pipe that blocks", flags, err)
	}
	unix.Write(fds[0], []byte("through"))
	unix.Close(fds[0])
	var got bytes.Buffer
	if got.ReadFrom(r); got.String() != "through" {
		t.Errorf("got %q", got.String())
	}
}

// TestBadDescriptor: it is the call that fails, and not the connection.
func TestBadDescriptor(t *testing.T) {
	_, c := converse(t, Options{}, lines(`> {"jsonrpc":"2.0","id":3,"method":"list"}`, `< {"jsonrpc":"2.0","id":3,"result":{"jobs":[]}}`))
	k, err := c.newCall("spawn", nil)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	k.files = []*os.File{closed}
	if err := c.do(t.Context(), k); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v", err)
	}
	if _, err := c.List(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNoDescriptors: over what is no unix socket.
func TestNoDescriptors(t *testing.T) {
	ours, theirs := net.Pipe()
	go answerBackwards(theirs, 1) // ends when the client hangs up
	c, err := NewConn(t.Context(), ours, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cmd := c.Command("true")
	cmd.Stdout = &bytes.Buffer{}
	if err := cmd.Run(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// TestNotStarted: nothing panics, and nothing is left open.
func TestNotStarted(t *testing.T) {
	_, c := converse(t, Options{}, "")
	cmd := c.Command("true")
	if err := cmd.Wait(); err != errNotStarted {
		t.Error(err)
	}
	if err := cmd.Kill(); err != errNotStarted {
		t.Error(err)
	}
	if cmd.Job() != 0 || cmd.Pid() != 0 || cmd.Record() != nil || cmd.ExitCode() != -1 {
		t.Error("it has something of a job")
	}
	for _, pipe := range []func() (any, error){
		func() (any, error) { return cmd.StdinPipe() }, func() (any, error) { return cmd.StdoutPipe() }, func() (any, error) { return cmd.StderrPipe() },
	} {
		if _, err := pipe(); err != nil {
			t.Error(err)
		}
		if _, err := pipe(); err == nil {
			t.Error("it was set twice")
		}
	}
	cmd.Env = []string{"bad"}
	if err := cmd.Start(); err == nil {
		t.Error("it has started")
	}
	if err := cmd.Start(); err != errStarted {
		t.Errorf("the second Start: %v", err)
	}
}
