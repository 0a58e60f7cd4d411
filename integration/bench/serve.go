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

// throughput compares `spawn true` with what is needed to run the same program at all: both keep 16 in flight. Beside the time
// of a clock it takes the processor's, of starter and jobs together, which does not depend on what else the machine does.
func (b *bench) throughput() error {
	var clock, cpu [2][]float64 // of the reference, and of the server; ms for one job
	v, err := b.serve()
	if err != nil {
		return err
	}
	for round := -1; round < b.rounds; round++ { // the first warms up
		for i, take := range []func() (wall, cpu float64, err error){b.bareSpawns, func() (float64, float64, error) { return v.shortJobs() }} {
			wall, used, err := take()
			if err != nil {
				return errors.Join(err, b.endServed(v))
			}
			if round >= 0 {
				clock[i], cpu[i] = append(clock[i], wall/shortJobs), append(cpu[i], used/shortJobs)
			}
		}
	}
	measure := fmt.Sprintf("each of %d jobs, %d in flight", shortJobs, inFlight)
	for i, times := range [][2][]float64{clock, cpu} {
		what := []string{"", ", processor time"}[i]
		b.add(row{Measure: measure, Program: "vfork, exec, wait: /bin/true" + what, Median: median(times[0]), Unit: "ms", Rounds: b.rounds})
		b.add(row{
			Measure: measure, Program: "supervise serve: spawn /bin/true" + what, Median: median(times[1]), Unit: "ms", Rounds: b.rounds, Target: atMost(1.5),
		}.against("bare", median(times[0])))
	}
	return b.endServed(v)
}

// shortJobs has the server run some.
func (v *served) shortJobs() (wall, cpu float64, err error) {
	begin, was := time.Now(), cpuTime(v.pid)
	err = v.spawnAll(shortJobs, inFlight, spawnParams("/bin/true"), `"method":"ended"`)
	return milliseconds(time.Since(begin)), milliseconds(cpuTime(v.pid) - was), err
}

// bareSpawns has the helper do so.
func (b *bench) bareSpawns() (wall, cpu float64, err error) {
	s, err := b.spawnReady(helperCommand(b.self, "bare-spawns", strconv.Itoa(shortJobs)))
	if err != nil {
		return 0, 0, err
	}
	was := cpuTime(s.pid)
	begin := time.Now()
	s.end.Close() // it begins
	if _, err := s.out.Read(make([]byte, 1)); err != nil {
		return 0, 0, errors.Join(err, b.finish(s))
	}
	took := time.Since(begin)
	used := cpuTime(s.pid) - was
	syscall.Kill(s.pid, syscall.SIGKILL)
	return milliseconds(took), milliseconds(used), b.finish(s)
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
	if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
		return err
	}
	select {} // for somebody to look at what it used
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
