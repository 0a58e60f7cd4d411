package client

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestManyJobs: at once, and none has a goroutine.
func TestManyJobs(t *testing.T) {
	const many = 200
	eachMode(t, func(t *testing.T, c *Conn) {
		before := runtime.NumGoroutine()
		jobs := make([]*Cmd, many)
		for i := range jobs {
			jobs[i] = c.CommandContext(limit(t), "sh", "-c", "echo $0; read x", strconv.Itoa(i))
			jobs[i].Stdout = &Capture{}
		}
		gates := make([]*os.File, many)
		for i, cmd := range jobs {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin, gates[i] = r, w
			if err := errors.Join(cmd.Start(), r.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if n := runtime.NumGoroutine() - before; n > 10 {
			t.Errorf("%d goroutines for %d jobs", n, many)
		}
		if list, err := c.List(t.Context()); err != nil || len(list) != many {
			t.Errorf("%d jobs, %v", len(list), err)
		}
		closeAll(gates)
		var wg sync.WaitGroup
		for i, cmd := range jobs {
			wg.Go(func() {
				if err := cmd.Wait(); cmd.ExitCode() != 1 || cmd.Stdout.(*Capture).String() != strconv.Itoa(i)+"\n" {
					t.Errorf("job %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}

// TestEventsOfJobs: in their order.
func TestEventsOfJobs(t *testing.T) {
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode, func(t *testing.T) {
			const many = 20
			c := start(t, mode, Options{Events: 1})
			for range many {
				if err := c.Command("true").Start(); err != nil {
					t.Fatal(err)
				}
			}
			seen, ended := map[int]string{}, 0
			for e := range c.Events() {
				seen[e.Job] += e.Method + " "
				if e.Method != protocol.NoteEnded {
					continue
				}
				if want := "started exited ended "; seen[e.Job] != want {
					t.Errorf("job %d: %s", e.Job, seen[e.Job])
				}
				if ended++; ended == many {
					break
				}
			}
		})
	}
}

// TestFlood: calls and Close go through a flood of unread events.
func TestFlood(t *testing.T) {
	for _, mode := range []string{"cgroup", "subreaper"} {
		t.Run(mode, func(t *testing.T) {
			c := start(t, mode, Options{Events: 1})
			flood := c.Command("yes")
			flood.Stdout = &Capture{Limit: -1, Wait: true}
			if err := flood.Start(); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if _, err := c.List(limit(t)); err != nil {
					t.Error(err)
				}
				if err := c.Command("true").Start(); err != nil {
					t.Error(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := flood.Wait(); flood.Record() == nil {
				t.Error(err)
			}
		})
	}
}
