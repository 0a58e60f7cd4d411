package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A curve is how a cost grows with a size: ours, and that of the least that does the same.
type curve struct {
	title       string
	unit        string // of the sizes
	sizes       []int
	least, ours []float64 // ms, medians
	leastName   string
	oursName    string
}

// growth takes the curves: how many processes are left to be ended, how many jobs a server has, how large the environment is,
// how many descriptors the caller has open.
func (b *bench) growth() error {
	if !b.ground.usable() {
		fmt.Fprintln(os.Stderr, "bench: the growth of costs needs a writable cgroup2: left out")
		return nil
	}
	for _, take := range []func() (*curve, error){b.growingLeftovers, b.growingServer, b.growingEnvironment, b.growingDescriptors} {
		c, err := take()
		if err != nil {
			return err
		}
		for i, size := range c.sizes {
			measure := fmt.Sprintf("%s: %d %s", c.title, size, c.unit)
			b.add(row{Measure: measure, Program: c.leastName, Median: c.least[i], Unit: "ms"})
			b.add(row{Measure: measure, Program: c.oursName, Median: c.ours[i], Unit: "ms"}.against("least", c.least[i:i+1], nil))
		}
		b.curves = append(b.curves, c)
	}
	return nil
}

// growingLeftovers ends what a job has left.
func (b *bench) growingLeftovers() (*curve, error) {
	c := &curve{
		title: "ending a job", unit: "processes", sizes: []int{1, 10, 100, 1000},
		leastName: "write to cgroup.kill, reap", oursName: "supervise run",
	}
	for _, n := range c.sizes {
		of := *b
		of.procs = n
		var times [2][]float64
		for range b.rounds {
			for i, e := range of.endings()[:2] {
				s, err := e.start()
				if err != nil {
					return nil, err
				}
				took, err := b.finishTimed(s)
				if err != nil {
					return nil, err
				}
				times[i] = append(times[i], milliseconds(took))
			}
		}
		c.least, c.ours = append(c.least, median(times[0])), append(c.ours, median(times[1]))
	}
	return c, nil
}

// growingServer ends all jobs of a server.
func (b *bench) growingServer() (*curve, error) {
	c := &curve{
		title: "ending a server", unit: "jobs", sizes: []int{1, 10, 100, 1000, 10000},
		leastName: "write to cgroup.kill, reap, rmdir", oursName: "supervise serve, with every record",
	}
	for _, n := range c.sizes {
		of := *b
		of.jobs = n
		one := &crowd{b: &of, sleep: sleepCommand()}
		for range min(b.rounds, crowdRounds) {
			if err := errors.Join(one.unguarded("bare", &one.bare), one.guarded(false, &one.shutdown, one.endByShutdown)); err != nil {
				return nil, err
			}
		}
		c.least, c.ours = append(c.least, median(one.bare)), append(c.ours, median(one.shutdown))
	}
	return c, nil
}

// growingEnvironment starts a job with an environment of some size.
func (b *bench) growingEnvironment() (*curve, error) {
	c := b.startCurve("environment", "KB", 1, 10, 100, 1000)
	const kilobyte = 1000
	for _, n := range c.sizes {
		env := os.Environ()
		for i := range n {
			env = append(env, fmt.Sprintf("BENCH_%06d=%s", i, strings.Repeat("x", kilobyte-len("BENCH_000000=")-1)))
		}
		if err := b.starts(c, env); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// growingDescriptors starts a job from a caller with many open descriptors, which the job inherits.
func (b *bench) growingDescriptors() (*curve, error) {
	c := b.startCurve("open descriptors", "of the caller", 100, 1000, 10000, 50000)
	most := c.sizes[len(c.sizes)-1] + 1000
	limit := unix.Rlimit{Cur: uint64(most), Max: uint64(most)}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return nil, err
	}
	if old.Cur < limit.Cur && unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		old = limit
	}
	c.sizes = slices.DeleteFunc(c.sizes, func(n int) bool { return uint64(n)+100 > old.Cur }) // what may not be is left out
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var open []int
	defer func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
	}()
	for _, n := range c.sizes {
		for len(open) < n {
			fd, err := unix.Dup(int(null.Fd())) // without CLOEXEC
			if err != nil {
				return nil, err
			}
			open = append(open, fd)
		}
		if err := b.starts(c, os.Environ()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (b *bench) startCurve(title, unit string, sizes ...int) *curve {
	return &curve{title: "start to exit, " + title, unit: unit, sizes: sizes, leastName: least, oursName: "supervise run -- true"}
}

// starts adds a point to a curve.
func (b *bench) starts(c *curve, env []string) error {
	list, err := b.copies([]contender{
		{argv: []string{b.yardstick("least"), "/bin/true"}}, {argv: []string{b.supervise, "run", "--", "/bin/true"}},
	})
	if err != nil {
		return err
	}
	var times [2][]float64
	for range max(b.n/4, 5) {
		for i, c := range list {
			took, err := startToExitWith(c.argv, env)
			if err != nil {
				return err
			}
			times[i] = append(times[i], milliseconds(took))
		}
	}
	c.least, c.ours = append(c.least, median(times[0])), append(c.ours, median(times[1]))
	return nil
}
