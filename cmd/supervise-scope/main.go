// Supervise-scope moves processes into a delegated cgroup of systemd's, says
// which, and exits. It is a program of its own so that supervise, which stays,
// need not link D-Bus. See "supervise-scope --help".
//
// It lives for milliseconds, so what the runtime does at its start shows.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/systemd"
)

// self is what complains.
var self = cli.Program{Name: program}

func main() {
	begun := time.Now()
	runtime.GOMAXPROCS(1) // it talks to one manager, a word at a time: a thread less to wake each time
	o, err := parse(os.Args[1:])
	switch {
	case err != nil:
		self.Complain(err)
		os.Exit(cli.ExitUsage)
	case o.help:
		fmt.Print(helpText)
		return
	}
	// The last resort: a file system may hang where no context reaches.
	time.AfterFunc(o.timeout, func() {
		self.Complain(fmt.Errorf("no answer in time (%v)", o.timeout))
		os.Exit(cli.ExitFailed)
	})
	if err := run(o, begun); err != nil {
		self.Complain(err)
		os.Exit(cli.ExitFailed)
	}
}

// run does what the options say within a little less than the time limit, so
// that there is time to say what took it.
func run(o *options, begun time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), begun.Add(o.timeout-o.timeout/10))
	defer cancel()
	host := systemd.Here()
	switch {
	case o.probe:
		return answer(host.Probe(ctx, o.pids[0]))
	case o.attach != "":
		return host.Attach(ctx, o.attach, o.subgroup, o.pids)
	}
	place, err := host.Place(ctx, systemd.Request{
		PIDs:        o.pids,
		Description: o.description,
		Slice:       o.slice,
		Controllers: o.controllers,
		OwnUnit:     o.ownUnit,
	})
	if err != nil {
		return err
	}
	return answer(struct {
		systemd.Delegation
		Took float64 `json:"took_ms"`
	}{place, milliseconds(time.Since(begun))})
}

func milliseconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1e5) / 100
}

// answer prints the one line of stdout.
func answer(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}
