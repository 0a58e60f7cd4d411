package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// contender is one of several command lines that are measured in turn.
type contender struct {
	name   string
	argv   []string
	target float64 // of the ratio to the reference; 0: none
	fresh  string  // a file that it makes, and must not find; "": none
}

// start measures from before the fork to after the wait. The starter is this process: syscall.ForkExec is a vfork, as
// cheap as posix_spawn, and does not grow with our memory.
func (b *bench) start() error {
	const reference, plain = "tini -s -- true", "supervise run -- true"
	record := filepath.Join(os.TempDir(), fmt.Sprintf("bench-record-%d", os.Getpid()))
	defer os.Remove(record)
	list := present([]contender{
		{"/bin/true", []string{"/bin/true"}, 0, ""},
		{reference, []string{"tini", "-s", "--", "true"}, 0, ""},
		{"bwrap --die-with-parent true", []string{"bwrap", "--dev-bind", "/", "/", "--die-with-parent", "true"}, 0, ""},
		{"timeout 10 true", []string{"timeout", "10", "true"}, 0, ""},
		{plain, []string{b.supervise, "run", "--", "true"}, 1.6, ""},
		{"supervise run --record FILE -- true", []string{b.supervise, "run", "--record", record, "--", "true"}, 1.1, record},
		{"supervise run --no-guard -- true", []string{b.supervise, "run", "--no-guard", "--", "true"}, 1.35, ""},
		{"supervise run --contain subreaper -- true", []string{b.supervise, "run", "--contain", "subreaper", "--", "true"}, 0, ""},
	})
	times, err := b.interleave(list)
	if err != nil {
		return err
	}
	medians := map[string]float64{}
	for i, c := range list {
		medians[c.name] = median(times[i])
	}
	for _, c := range list {
		r := row{Measure: "start to exit", Program: c.name, Median: medians[c.name], Unit: "ms", Rounds: b.n, Target: atMost(c.target)}
		if strings.Contains(c.name, "--record") {
			b.add(r.against("no record", medians[plain]))
		} else {
			b.add(r.against("tini", medians[reference]))
		}
	}
	return nil
}

// interleave runs each n times, in turn.
func (b *bench) interleave(list []contender) ([][]float64, error) {
	list = present(list)
	times := make([][]float64, len(list))
	for round := -3; round < b.n; round++ { // the first rounds warm the page cache and are not counted
		for i, c := range list {
			if c.fresh != "" {
				os.Remove(c.fresh)
			}
			d, err := startToExit(c.argv)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				times[i] = append(times[i], milliseconds(d))
			}
		}
	}
	return times, nil
}

// against adds the ratio to a reference that was measured (base > 0).
func (r row) against(name string, base float64) row {
	if base > 0 {
		ratio := r.Median / base
		r.Ratio, r.Against = &ratio, name
	}
	return r
}

// present leaves out the programs that are not installed and makes the others' names paths.
func present(list []contender) []contender {
	var out []contender
	for _, c := range list {
		path, err := exec.LookPath(c.argv[0])
		if err != nil {
			continue
		}
		c.argv[0] = path
		out = append(out, c)
	}
	return out
}

func startToExit(argv []string) (time.Duration, error) {
	begin := time.Now()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, fmt.Errorf("starting %q: %w", argv, err)
	}
	status, err := wait(pid)
	took := time.Since(begin)
	if err == nil && (!status.Exited() || status.ExitStatus() != 0) {
		err = fmt.Errorf("%q ended with status %#x", argv, uint32(status))
	}
	return took, err
}

func wait(pid int) (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, err
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
