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

// throughput compares `spawn true` with what is needed to run the same program at all, and with what is needed to run it in a
// cgroup of its own, of which a record tells; each keeps 16 in flight. Beside the time of a clock it takes the processor's, of
// starter and jobs together, which depends less on what else the machine does.
func (b *bench) throughput() error {
	v, err := b.serve()
	if err != nil {
		return err
	}
	list := []struct {
		name       string
		take       func() (wall, cpu float64, err error)
		target     float64
		clock, cpu []float64 // ms for one job
	}{
		{"vfork, exec, wait: /bin/true", func() (float64, float64, error) { return b.bareSpawns("plain") }, 0, nil, nil},
		{"mkdir, clone into it, exec, wait, read the counters, rmdir", func() (float64, float64, error) { return b.bareSpawns("cgroup") }, 0, nil, nil},
		{"supervise serve: spawn /bin/true", v.shortJobs, 1.5, nil, nil},
	}
	for round := -1; round < b.rounds; round++ { // the first warms up
		for i, c := range list {
			wall, used, err := c.take()
			if err != nil {
				return errors.Join(err, b.endServed(v))
			}
			if round >= 0 {
				list[i].clock, list[i].cpu = append(c.clock, wall/shortJobs), append(c.cpu, used/shortJobs)
			}
		}
	}
	measure := fmt.Sprintf("each of %d jobs, %d in flight", shortJobs, inFlight)
	for _, c := range list {
		r := row{Measure: measure, Program: c.name, Median: median(c.clock), Unit: "ms", Rounds: b.rounds, Target: atMost(c.target)}
		b.add(r.against("bare", list[0].clock, nil))
	}
	for _, c := range list {
		r := row{Measure: measure + ", processor time", Program: c.name, Median: median(c.cpu), Unit: "ms", Rounds: b.rounds, Target: atMost(c.target)}
		b.add(r.against("bare", list[0].cpu, nil))
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
func (b *bench) bareSpawns(kind string) (wall, cpu float64, err error) {
	s, err := b.spawnReady(helperCommand(b.self, "bare-spawns", strconv.Itoa(shortJobs), kind))
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
	start, end, clean, err := bareKinds[args[1]]()
	if err != nil {
		return err
	}
	if err := readyThenEOF(); err != nil {
		return err
	}
	for started, ended := 0, 0; ended < n; ended++ {
		for ; started < n && started-ended < inFlight; started++ {
			if err := start(); err != nil {
				return err
			}
		}
		if err := end(); err != nil {
			return err
		}
	}
	clean()
	if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
		return err
	}
	time.Sleep(endLimit) // for somebody to look at what it used
	return nil
}

// bareKinds are the ways in which the helper starts a program, and waits for one.
var bareKinds = map[string]func() (start, end func() error, clean func(), err error){"plain": barePlain, "cgroup": bareCgroup}

func barePlain() (start, end func() error, clean func(), err error) {
	attr, err := bareAttr()
	start = func() error {
		_, err := syscall.ForkExec("/bin/true", []string{"/bin/true"}, attr)
		return err
	}
	return start, func() error { _, err := wait(-1); return err }, func() {}, err
}

func bareAttr() (*syscall.ProcAttr, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	fd := uintptr(null)
	return &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{fd, fd, fd}}, err
}

// bareCgroup does the least that a job in a cgroup of the same shape, and a record, need.
func bareCgroup() (start, end func() error, clean func(), err error) {
	attr, err := bareAttr()
	if err != nil {
		return nil, nil, nil, err
	}
	top, err := makeCgroup()
	if err != nil {
		return nil, nil, nil, err
	}
	dirs, next := map[int]string{}, 0 // by pid
	start = func() error {
		next++
		dir := filepath.Join(top.Name(), strconv.Itoa(next))
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(dir+"/main", 0o755)); err != nil {
			return err
		}
		fd, err := unix.Open(dir+"/main", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		born := *attr
		born.Sys = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd, Setsid: true}
		pid, err := syscall.ForkExec("/bin/true", []string{"/bin/true"}, &born)
		dirs[pid] = dir
		return err
	}
	return start, func() error {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if err != nil {
			return err
		}
		return readAndRemove(dirs[pid])
	}, func() { os.Remove(top.Name()) }, nil
}

func readAndRemove(dir string) error {
	var buf [1024]byte
	for _, file := range []string{"cgroup.events", "cpu.stat", "cpu.pressure", "memory.pressure", "io.pressure"} {
		if fd, err := unix.Open(dir+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			unix.Read(fd, buf[:])
			unix.Close(fd)
		}
	}
	return removeLeaf(dir)
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
