package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// scopeProgram knows D-Bus, so that this one need not.
const scopeProgram = "supervise-scope"

const (
	scopePatience = 5 * time.Second
	maxAnswer     = 1 << 20 // bytes
)

// askBus has supervise-scope find out whether systemd can be reached.
func askBus() protocol.Bus {
	bus := protocol.Bus{Roads: []protocol.BusRoad{}}
	program, err := siblingProgram(scopeProgram)
	if err != nil {
		bus.Error = new(err.Error())
		return bus
	}
	answer, err := ask([]string{program, "--probe"}, scopePatience)
	if err == nil {
		bus, err = parseProbe(answer)
	}
	bus.Program = &program
	if err != nil {
		bus.Error = new(oneLine(fmt.Errorf("asking %s: %w", scopeProgram, err)))
	}
	return bus
}

// siblingProgram finds a program of this project: beside this one, in libexec, on
// PATH.
func siblingProgram(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		dir := filepath.Dir(self)
		for _, file := range []string{filepath.Join(dir, name), filepath.Join(dir, "../libexec/supervise", name)} {
			if executable(file) == nil {
				return file, nil
			}
		}
	}
	file, err := lookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: it is neither beside supervise, nor in ../libexec/supervise, nor in PATH", name)
	}
	return file, nil
}

// parseProbe reads what supervise-scope prints. Of another version it may lack
// fields, or have more.
func parseProbe(answer []byte) (protocol.Bus, error) {
	var bus protocol.Bus
	err := json.Unmarshal(answer, &bus)
	if err != nil {
		bus, err = protocol.Bus{}, fmt.Errorf("reading its answer: %w", err)
	}
	if bus.Roads == nil {
		bus.Roads = []protocol.BusRoad{}
	}
	for i := range bus.Roads {
		if e := bus.Roads[i].Error; e != nil && *e == "" {
			bus.Roads[i].Error = nil
		}
	}
	return bus, err
}

// ask runs a program to its end and returns what it has written to stdout. One
// that takes too long is killed, and so is one whose asker dies.
func ask(argv []string, limit time.Duration) ([]byte, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(p[0])
	unix.SetNonblock(p[0], true) // our end alone: the program expects to block
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(p[1])
		return nil, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{uintptr(null), uintptr(p[1]), uintptr(null)},
		Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	})
	unix.Close(null)
	unix.Close(p[1])
	if err != nil {
		return nil, err
	}
	answer, err := drain(p[0], time.Now().Add(limit))
	if err != nil {
		unix.Kill(pid, unix.SIGKILL)
	}
	return answer, errors.Join(err, exitError(pid))
}

// drain reads from a pipe to its end.
func drain(fd int, deadline time.Time) ([]byte, error) {
	var b []byte
	buf := make([]byte, 4096)
	for len(b) <= maxAnswer {
		left := time.Until(deadline)
		if left <= 0 {
			return b, errors.New("it takes too long")
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		n, err := unix.Read(fd, buf)
		switch {
		case n > 0:
			b = append(b, buf[:n]...)
		case err == nil:
			return b, nil
		case err != unix.EAGAIN && err != unix.EINTR:
			return b, os.NewSyscallError("read", err)
		}
	}
	return b, errors.New("it says too much")
}

// exitError waits for a child, and says how it ended if that was not well.
func exitError(pid int) error {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	switch {
	case status.Signaled():
		return fmt.Errorf("it was ended by %s", unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		return fmt.Errorf("it exited with status %d", status.ExitStatus())
	}
	return nil
}
