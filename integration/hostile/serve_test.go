package hostile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served are attacks of one job of a server.
var served = []string{
	"daemons", "subreaper", "bomb", "ptrace", "memory", "descriptors", "oom", "chmod-files", "chmod-dirs", "threaded", "freeze",
	"descendants", "shaft", "namespace", "move",
}

// TestServe: a server tells the end of a hostile job when nothing of it is left, and another job goes on.
func TestServe(t *testing.T) {
	needRoot(t)
	for _, kind := range kinds {
		for _, containment := range containments {
			for _, attack := range served {
				t.Run(fmt.Sprintf("%s/%s/%s", kind.name, containment, attack), func(t *testing.T) {
					t.Parallel()
					c := newCell(t, kind, containment)
					c.serve()
					c.hold(attack)
				})
			}
		}
	}
}

// A message is what the tests read of one that the server sends.
type message struct {
	ID     int
	Method string
	Error  json.RawMessage
	Result struct{ Job int }
	Params struct {
		Job    int
		Record record
	}
}

// serve starts a server with the cell's pipes as its input and output: owner and stdout.
func (c *cell) serve() {
	c.t.Helper()
	stdin, owner := c.pipe()
	stdoutEnd, stdout := c.pipe()
	c.cmd = c.command(filepath.Join(bin, "supervise"), "serve", "--contain="+c.held)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, stdout, &c.errors
	c.owner, c.stdout, c.exited = owner, stdoutEnd, make(chan struct{})
	err := c.cmd.Start()
	stdin.Close()
	stdout.Close()
	if err != nil {
		c.t.Fatal(err)
	}
	go func() {
		c.cmd.Wait()
		close(c.exited)
	}()
	c.t.Cleanup(func() {
		owner.Close()
		if !c.ended(patience) {
			c.t.Error("the server does not end")
		}
		c.killAll()
		<-c.exited
		stdoutEnd.Close()
	})
}

// ask sends a request, and reads until its answer.
func (c *cell) ask(from *json.Decoder, id int, method string, params map[string]any) message {
	c.t.Helper()
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	c.owner.Write(append(line, '\n'))
	return c.await(from, func(m message) bool { return m.ID == id })
}

// await reads up to a message. The end of another job than expected is a failure.
func (c *cell) await(from *json.Decoder, wanted func(message) bool) message {
	c.t.Helper()
	c.stdout.SetReadDeadline(time.Now().Add(patience))
	for {
		var m message
		if err := from.Decode(&m); err != nil {
			c.t.Fatalf("the server says nothing more: %v; stderr %q", err, c.errors.String())
		}
		switch {
		case m.Error != nil:
			c.t.Fatalf("%s", m.Error)
		case wanted(m):
			return m
		case m.Method == "ended":
			c.t.Fatalf("job %d has ended: %+v", m.Params.Job, m.Params.Record)
		}
	}
}

// hold runs a job that goes on beside one that attacks.
func (c *cell) hold(attack string) {
	from := json.NewDecoder(c.stdout)
	c.ask(from, 1, "hello", map[string]any{"versions": []int{1}})
	keep := c.ask(from, 2, "spawn", map[string]any{"argv": []string{"sleep", "1000"}}).Result.Job
	leak, said, input := c.fifo("leak"), c.fifo("said"), c.fifo("input")
	argv := c.kind.wrap(c.uid, "sh", "-c", `exec 3>"$0" >"$1" 0<>"$2"; shift 2; exec "$@"`, leak, said, input, filepath.Join(bin, "adversary"), "attack", "-do="+attack)
	c.leak = c.open(leak)
	out := c.open(said)
	evil := c.ask(from, 3, "spawn", map[string]any{"argv": argv, "stdio": []any{"null", "null", "inherit"}}).Result.Job
	answers := c.stdout
	c.stdout = out
	c.expectReady()
	c.stdout = answers
	c.ask(from, 4, "kill", map[string]any{"job": evil})
	end := c.await(from, func(m message) bool { return m.Method == "ended" && m.Params.Job == evil })
	if !c.goneNow() {
		c.t.Errorf("the end of the job is told while it lives: %q", processes(c.uid))
	}
	if cause := end.Params.Record.Cause; cause != "killed" {
		c.t.Errorf("cause %s", cause)
	}
	// A job of the same user can stop its server, in this way as well.
	if attack != "descendants" && attack != "freeze" || !c.kind.own {
		c.ask(from, 5, "spawn", map[string]any{"argv": []string{"sleep", "1000"}})
	}
	c.ask(from, 6, "kill", map[string]any{"job": keep})
	end = c.await(from, func(m message) bool { return m.Method == "ended" && m.Params.Job == keep })
	if cause := end.Params.Record.Cause; cause != "killed" {
		c.t.Errorf("the other job: cause %s", cause)
	}
}

// fifo makes a FIFO that any user may open.
func (c *cell) fifo(name string) string {
	c.t.Helper()
	dir := c.t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		os.Chmod(at, 0o755)
	}
	path := filepath.Join(dir, name)
	if err := unix.Mkfifo(path, 0o666); err != nil {
		c.t.Fatal(err)
	}
	os.Chmod(path, 0o666)
	return path
}

// open opens a FIFO for reading.
func (c *cell) open(path string) *os.File {
	c.t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { f.Close() })
	return f
}
