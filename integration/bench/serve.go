package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inFlight is how many short jobs run at once, shortJobs how many are started in one round.
const (
	inFlight  = 16
	shortJobs = 1000
)

// throughput compares `spawn true` with what is needed to run the same program at all: both keep 16 in flight.
func (b *bench) throughput() error {
	var bare, guarded []float64
	params := spawnParams("/bin/true")
	v, err := b.serve()
	if err != nil {
		return err
	}
	for round := -1; round < b.rounds; round++ { // the first warms up
		s, err := b.spawnReady(helperCommand(b.self, "bare-spawns", strconv.Itoa(shortJobs)))
		if err != nil {
			return err
		}
		reference, err := b.finishTimed(s)
		if err != nil {
			return err
		}
		begin := time.Now()
		if err := v.spawnAll(shortJobs, inFlight, params, `"method":"ended"`); err != nil {
			return errors.Join(err, b.endServed(v))
		}
		if round >= 0 {
			bare = append(bare, milliseconds(reference)/shortJobs)
			guarded = append(guarded, milliseconds(time.Since(begin))/shortJobs)
		}
	}
	measure := fmt.Sprintf("a job of %d, %d in flight", shortJobs, inFlight)
	b.add(row{Measure: measure, Program: "vfork, exec, wait: /bin/true", Median: median(bare), Unit: "ms", Rounds: b.rounds})
	b.add(row{
		Measure: measure, Program: "supervise serve: spawn /bin/true", Median: median(guarded), Unit: "ms", Rounds: b.rounds, Target: atMost(1.5),
	}.against("bare", median(bare)))
	return b.endServed(v)
}

// bareSpawnsHelper keeps some short programs in flight, when its input ends.
func bareSpawnsHelper(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fd := null.Fd()
	if err := readyThenEOF(); err != nil {
		return err
	}
	env := syscall.Environ()
	for started, ended := 0, 0; ended < n; ended++ {
		for ; started < n && started-ended < inFlight; started++ {
			_, err := syscall.ForkExec("/bin/true", []string{"/bin/true"}, &syscall.ProcAttr{Env: env, Files: []uintptr{fd, fd, fd}})
			if err != nil {
				return err
			}
		}
		if _, err := wait(-1); err != nil {
			return err
		}
	}
	return nil
}

// latency is from the last that the main process of a job does to the moment when its owner has read `exited`.
func (b *bench) latency() error {
	v, err := b.serve()
	if err != nil {
		return err
	}
	file := filepath.Join(filepath.Dir(b.self), "clock")
	params := spawnParams(b.self, helperArg, "clock", file)
	var us []float64
	for range b.n {
		if err := v.ask("spawn", params); err != nil {
			return err
		}
		if _, err := v.await(`"method":"exited"`); err != nil {
			return errors.Join(err, b.endServed(v))
		}
		read := monotonic()
		wrote, err := os.ReadFile(file)
		if err != nil || len(wrote) != 8 {
			return errors.Join(fmt.Errorf("%d bytes from the job's clock: %w", len(wrote), err), b.endServed(v))
		}
		us = append(us, float64(read-int64(binary.NativeEndian.Uint64(wrote)))/1e3)
		if _, err := v.await(`"method":"ended"`); err != nil {
			return errors.Join(err, b.endServed(v))
		}
	}
	slices.Sort(us)
	b.add(row{
		Measure: "from the exit of a main process to its owner's reading of it", Program: "supervise serve", Median: median(us), Unit: "us",
		Rounds: b.n, Target: medianAtMost(300), Note: fmt.Sprintf("p99: %.0f us", us[len(us)*99/100]),
	})
	return b.endServed(v)
}

// clockHelper writes the time, and exits.
func clockHelper(args []string) error {
	fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, uint64(monotonic()))); err != nil {
		return err
	}
	unix.Exit(0)
	return nil
}

func monotonic() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}
