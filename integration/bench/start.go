package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// contender is one of several command lines that are measured in turn.
type contender struct {
	name  string
	argv  []string
	fresh string // a file that it makes, and must not find; "": none
}

// least is the yardstick: integration/bench/yardstick/least.
const least = "the least Go program"

// start measures from before the fork to after the wait. The starter is this process: syscall.ForkExec is a vfork, as
// cheap as posix_spawn, and does not grow with our memory.
func (b *bench) start() error {
	record := filepath.Join(b.tmp, "record.json")
	run := []string{b.supervise, "run"}
	list := []contender{
		{name: "true", argv: []string{"true"}},
		{name: "a C program that does nothing", argv: []string{b.yardstick("c")}},
		{name: "a Go program that does nothing", argv: []string{b.yardstick("empty")}},
		{name: least, argv: []string{b.yardstick("least"), "/bin/true"}},
		{name: "the same in three levels of cgroups", argv: []string{b.yardstick("cgroup"), b.ground.self(), "/bin/true"}},
		{name: "tini -s -- true", argv: []string{"tini", "-s", "--", "/bin/true"}},
		{name: "dumb-init true", argv: []string{"dumb-init", "/bin/true"}},
		{name: "timeout 10 true", argv: []string{"timeout", "10", "/bin/true"}},
		{name: "bwrap --unshare-pid true", argv: []string{"bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--die-with-parent", "/bin/true"}},
		{name: "runexec true", argv: []string{"runexec", "--no-container", "/bin/true"}},
		{name: "supervise version", argv: []string{b.supervise, "version"}},
		{name: "supervise run -- true", argv: append(run[:2:2], "--", "/bin/true")},
		{name: "as go build has left it", argv: []string{b.built, "run", "--", "/bin/true"}},
		{name: "with --record FILE", argv: append(run[:2:2], "--record", record, "--", "/bin/true"), fresh: record},
		{name: "with --no-guard", argv: append(run[:2:2], "--no-guard", "--", "/bin/true")},
		{name: "with --contain=subreaper", argv: append(run[:2:2], "--contain=subreaper", "--", "/bin/true")},
		{name: "with --contain=subreaper --no-guard", argv: append(run[:2:2], "--contain=subreaper", "--no-guard", "--", "/bin/true")},
	}
	list, err := b.copies(list)
	if err != nil {
		return err
	}
	times, err := b.interleave(list)
	if err != nil {
		return err
	}
	reference := times[slices.IndexFunc(list, func(c contender) bool { return c.name == least })]
	for i, c := range list {
		r := row{Measure: "start to exit", Program: c.name, Median: median(times[i]), Unit: "ms", Rounds: b.n}
		b.add(r.against("least", reference, times[i]))
	}
	return nil
}

// yardstick is the path of a program that was built to compare with.
func (b *bench) yardstick(name string) string {
	return filepath.Join(b.tmp, "built", "yardstick-"+name)
}

// copies has every program be a copy in one directory: how a file was written matters, by a tenth of the time. Those that are
// not there are left out, as are the cgroups where there are none.
func (b *bench) copies(list []contender) (there []contender, err error) {
	copied := filepath.Join(b.tmp, "copied")
	for _, c := range list {
		from, err := exec.LookPath(c.argv[0])
		if err != nil || len(c.argv) > 1 && c.argv[1] == "" {
			continue
		}
		if c.argv[0] != b.built && c.argv[0] != b.supervise {
			if c.argv[0], err = copyFile(from, filepath.Join(copied, filepath.Base(from))); err != nil {
				return nil, err
			}
		}
		there = append(there, c)
	}
	return there, nil
}

// interleave runs each n times, in an order that is another one in every round.
func (b *bench) interleave(list []contender) ([][]float64, error) {
	times := make([][]float64, len(list))
	for round := -3; round < b.n; round++ { // the first rounds warm the page cache and are not counted
		for _, i := range rand.Perm(len(list)) {
			c := list[i]
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

// against compares with a reference: the ratio of the medians, and the median of the differences, round by round.
func (r row) against(name string, reference, times []float64) row {
	base := median(reference)
	if base <= 0 {
		return r
	}
	ratio := r.Median / base
	r.Ratio, r.Against = &ratio, name
	if len(reference) == len(times) {
		differences := make([]float64, len(times))
		for i := range times {
			differences[i] = times[i] - reference[i]
		}
		d := median(differences)
		r.Difference = &d
	}
	return r
}

// null takes what is printed.
var null, _ = os.OpenFile(os.DevNull, os.O_RDWR, 0)

func startToExit(argv []string) (time.Duration, error) {
	return startToExitWith(argv, syscall.Environ())
}

func startToExitWith(argv, env []string) (time.Duration, error) {
	begin := time.Now()
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, null.Fd(), 2}})
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
