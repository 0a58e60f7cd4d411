package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestCrowd: 10,000 jobs have no goroutine, and each Wait gets its own record.
func TestCrowd(t *testing.T) {
	const many = 10000
	sock, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	go sleepers(peer) // ends when the client hangs up
	c, err := NewConn(limit(t), sock, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	jobs := make([]*Cmd, many)
	for i := range jobs {
		jobs[i] = c.CommandContext(limit(t), "sleep")
		jobs[i].Stdout = &Capture{}
		if err := jobs[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	if n := runtime.NumGoroutine() - before; n > 10 {
		t.Errorf("%d goroutines for %d jobs", n, many)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for i, cmd := range jobs {
		var exit *ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || *exit.Record.PID != i+1 {
			t.Fatalf("job %d: %v", i, err)
		}
	}
}

// sleepers is a supervisor whose jobs sleep until the end of input.
func sleepers(sock net.Conn) {
	defer sock.Close()
	in, out := json.NewDecoder(sock), bufio.NewWriter(sock)
	jobs := 0
	for {
		var m protocol.Message
		switch err := in.Decode(&m); {
		case err == io.EOF:
			for job := 1; job <= jobs; job++ {
				fmt.Fprintf(out, `{"jsonrpc":"2.0","method":"ended","params":{"job":%d,"record":{"pid":%d,"cause":"owner-gone"}}}`+"\n", job, job)
			}
			out.Flush()
			return
		case err != nil:
			return
		case m.Method == protocol.MethodHello:
			fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"version":1}}`+"\n", m.ID)
		case m.Method == protocol.MethodSpawn:
			jobs++
			fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"job":%d,"pid":%d}}`+"\n", m.ID, jobs, jobs)
		}
		out.Flush()
	}
}
