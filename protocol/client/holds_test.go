package client

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestUnreadEvents: those that nobody reads hold up what waits for a job for as long as
// Options.Patience, and no longer.
func TestUnreadEvents(t *testing.T) {
	news := map[string]string{
		"output": `< {"jsonrpc":"2.0","method":"output","params":{"job":7,"fd":1,"data":"aGk="}}`,
		"ready":  `< {"jsonrpc":"2.0","method":"ready","params":{"job":7,"pid":70,"status":"up","time":"2026-01-01T00:00:00Z"}}`,
	}
	for name, wait := range map[string]func(*testing.T, *Cmd, io.Reader){
		"output": func(t *testing.T, _ *Cmd, out io.Reader) {
			if n, err := out.Read(make([]byte, 9)); n != 2 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		},
		"ready": func(t *testing.T, cmd *Cmd, _ io.Reader) {
			if r, err := cmd.Ready(t.Context()); err != nil || r.Status != "up" {
				t.Errorf("%+v, %v", r, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sock, theirs := net.Pipe()
				able := strings.Replace(helloAnswer, `"fds"`, `"window","ready"`, 1)
				spawn := strings.Replace(spawnTrue, `[{"null":true},{"null":true},{"null":true}]`,
					`[{"null":true},{"capture":{"limit":-1,"window":262144}},{"null":true}],"notify":["ready"]`, 1)
				fakeOn(t, theirs, lines(helloRequest, able, spawn, spawned, startedNote, startedNote, startedNote, news[name]))
				c := connect(t, sock, Options{Events: 1, Patience: time.Hour})
				cmd := c.Command("true")
				cmd.Notify = []string{protocol.NotifyReady}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the events have come
				begun := time.Now()
				wait(t, cmd, out)
				if d := time.Since(begun); d != time.Hour {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// TestLeave: who does not wait any more counts no more, nor does one whose job has ended.
func TestLeave(t *testing.T) {
	l := newLoop(&Conn{events: make(chan Event, 1), closing: make(chan struct{})}, time.Minute)
	j := newJob(nil)
	l.jobs[0] = j
	for _, f := range []func(*job){l.wait, l.wait, l.leave} {
		f(j)
	}
	if l.waiting != 1 || j.waiters != 1 {
		t.Errorf("%d wait", l.waiting)
	}
	l.endJob(j, nil, nil)
	l.leave(j)
	if l.waiting != 0 {
		t.Errorf("%d wait for a job that has ended", l.waiting)
	}
}
