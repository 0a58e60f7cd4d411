package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startLimit bounds how long a program may take to be ready, endLimit how long to end.
const (
	startLimit = 60 * time.Second
	endLimit   = 60 * time.Second
)

// specimen is one running supervise (or its reference) with processes below it. Closing end is what ends it.
type specimen struct {
	pid int
	dir string // its cgroup, "" without
	end *os.File
	out *os.File // what it prints, if anybody cares
}

// spawn starts argv in a fresh cgroup with the given descriptors as fd 0 and 1, and closes them here.
func (b *bench) spawn(argv []string, stdin, stdout *os.File) (*specimen, error) {
	defer stdin.Close()
	defer stdout.Close()
	dir, err := b.ground.fresh()
	if err != nil {
		return nil, err
	}
	// The adversary insists on a descriptor 3.
	attr := &syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{stdin.Fd(), stdout.Fd(), 2, 2}, Sys: &syscall.SysProcAttr{}}
	if dir != "" {
		f, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(f.Fd())
	}
	pid, err := syscall.ForkExec(argv[0], argv, attr)
	if err != nil {
		return nil, fmt.Errorf("starting %q: %w", argv, err)
	}
	return &specimen{pid: pid, dir: dir}, nil
}

// spawnReady starts a command line that writes a byte once it is ready, and ends when its standard input does.
func (b *bench) spawnReady(argv []string) (*specimen, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s, err := b.spawn(argv, inR, outW)
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, err
	}
	s.end, s.out = inW, outR
	outR.SetReadDeadline(time.Now().Add(startLimit))
	if _, err := outR.Read(make([]byte, 1)); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for %q to be ready: %w", argv, err), b.finish(s))
	}
	return s, nil
}

// spawnSeed starts supervise without arguments, as a process that already has n sleeping children. It is ready when it
// has obeyed a request: one more child is killed through it, and its event read.
func (b *bench) spawnSeed(n int) (*specimen, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "owner"), os.NewFile(uintptr(fds[1]), "control")
	theirs2, err := syscall.Dup(fds[1])
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(theirs2)
	s, err := b.spawn(helperCommand(b.self, "seed", b.supervise, strconv.Itoa(n)), theirs, os.NewFile(uintptr(theirs2), "control"))
	if err != nil {
		ours.Close()
		return nil, err
	}
	s.end = ours
	if err := killCanary(fds[0]); err != nil {
		return nil, errors.Join(err, b.finish(s))
	}
	return s, nil
}

func killCanary(fd int) error {
	limit := syscall.NsecToTimeval(int64(startLimit))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return err
	}
	var msg [256]byte
	if n, err := syscall.Read(fd, msg[:]); err != nil || n != 4 {
		return fmt.Errorf("waiting for the canary's pid: %d bytes, %w", n, err)
	}
	request := binary.NativeEndian.AppendUint32(msg[:4:4], uint32(syscall.SIGKILL))
	if _, err := syscall.Write(fd, request); err != nil {
		return err
	}
	if n, err := syscall.Read(fd, msg[:]); err != nil || n != 128 {
		return fmt.Errorf("waiting for the canary's event: %d bytes, %w", n, err)
	}
	return nil
}

// spawnSleep starts a `supervise run` of a sleep that nothing ends but a signal.
func (b *bench) spawnSleep(flags ...string) (*specimen, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	argv := append(append([]string{b.supervise, "run"}, flags...), "--", "sleep", "10000")
	s, err := b.spawn(argv, null, null)
	if err != nil {
		return nil, err
	}
	if !waitUntil(startLimit, func() bool { return sleepBelow(s.pid) }) {
		return nil, errors.Join(fmt.Errorf("%q did not start", argv), b.finish(s))
	}
	return s, nil
}

func sleepBelow(pid int) bool {
	for _, p := range tree(pid) {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p))
		if strings.HasSuffix(exe, "/sleep") || strings.HasSuffix(exe, "/coreutils") || strings.HasSuffix(exe, "/busybox") {
			return true
		}
	}
	return false
}

// finish ends a specimen in the ordinary way and insists that nothing is left of it.
func (b *bench) finish(s *specimen) error {
	_, err := b.finishTimed(s)
	return err
}

// close lets go of our ends, which ends those that wait for it.
func (s *specimen) close() {
	for _, f := range []*os.File{s.end, s.out} {
		if f != nil {
			f.Close()
		}
	}
}

// finishTimed takes the time from closing its input to its end.
func (b *bench) finishTimed(s *specimen) (time.Duration, error) {
	stuck := time.AfterFunc(endLimit, func() { syscall.Kill(s.pid, syscall.SIGKILL) })
	defer stuck.Stop()
	begin := time.Now()
	s.close()
	if s.end == nil {
		syscall.Kill(s.pid, syscall.SIGTERM)
	}
	_, err := wait(s.pid)
	took := time.Since(begin)
	if took > endLimit {
		err = errors.Join(err, fmt.Errorf("it had to be killed after %v", endLimit))
	}
	return took, errors.Join(err, b.ground.clear(s.dir))
}

// supervisors are the supervisor and its guardian. There is at least one, or what is measured is nothing.
func (b *bench) supervisors(s *specimen) ([]int, error) {
	pids := running(s.pid, b.supervise)
	if len(pids) == 0 {
		return nil, fmt.Errorf("no process below %d executes %s", s.pid, b.supervise)
	}
	return pids, nil
}
