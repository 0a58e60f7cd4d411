package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// helperArg as the first argument makes this program one of its own helpers.
const helperArg = "-as-helper"

func helperCommand(self string, args ...string) []string {
	return append([]string{self, helperArg}, args...)
}

func helperMain(args []string) {
	helpers := map[string]func(args []string) error{
		"orphans":       orphansHelper,
		"bare-orphans":  bareOrphansHelper,
		"bare-children": bareChildrenHelper,
		"seed":          seedHelper,
		"inside":        insideHelper,
		"bare-crowd":    bareCrowdHelper,
		"bare-spawns":   bareSpawnsHelper,
		"clock":         clockHelper,
	}
	f := helpers[args[0]]
	if f == nil {
		f = func([]string) error { return errors.New("no such helper") }
	}
	if err := f(args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bench helper %q: %v\n", args, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sleepers starts n processes that sleep, and hold no descriptor. With cgroup they are born there.
func sleepers(count string, cgroup *os.File) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for range n {
		if _, err := startSleep(cgroup); err != nil {
			return err
		}
	}
	return nil
}

func startSleep(cgroup *os.File) (int, error) {
	path := "/bin/sleep"
	return syscall.ForkExec(path, []string{path, "10000"}, &syscall.ProcAttr{Sys: into(cgroup)})
}

func into(cgroup *os.File) *syscall.SysProcAttr {
	if cgroup == nil {
		return nil
	}
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
}

// readyThenEOF tells the bench that all is in place and blocks until it closes our input.
func readyThenEOF() error {
	if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
		return err
	}
	for {
		n, err := syscall.Read(0, make([]byte, 1))
		if n == 0 || err != nil && err != syscall.EINTR {
			return nil
		}
	}
}

// orphansHelper is the main process of a job: at the end of its input it exits and leaves its sleepers behind.
func orphansHelper(args []string) error {
	if err := sleepers(args[0], nil); err != nil {
		return err
	}
	return readyThenEOF()
}

// bareOrphansHelper is the least that can end the same job: see ending.
func bareOrphansHelper(args []string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	cgroup, err := makeCgroup()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	main, err := syscall.ForkExec(self, helperCommand(self, "orphans", args[0]),
		&syscall.ProcAttr{Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: into(cgroup)})
	if err != nil {
		return err
	}
	if _, err := wait(main); err != nil {
		return err
	}
	return killAndReap(cgroup.Name(), nil)
}

// bareChildrenHelper is the least that can end its own children. With a second argument it looks for theirs before: the
// kernel then has names below /proc for each, and takes time to forget them when the child ends.
func bareChildrenHelper(args []string) error {
	cgroup, err := makeCgroup()
	if err != nil {
		return err
	}
	if err := sleepers(args[0], cgroup); err != nil {
		return err
	}
	if len(args) > 1 {
		for _, pid := range pidsBelow(cgroup.Name()) {
			os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		}
	}
	if err := readyThenEOF(); err != nil {
		return err
	}
	return killAndReap(cgroup.Name(), nil)
}

func makeCgroup() (*os.File, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(own, "bare")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// killAndReap ends all in a cgroup, has each of the jobs in it removed, and removes it.
func killAndReap(dir string, remove func(job string) error, jobs ...string) error {
	if err := write(dir, "cgroup.kill", "1"); err != nil {
		return err
	}
	// Each of many waits looks at all children; of a thousand it is faster to reap them while they die.
	if len(jobs) > 0 {
		waitUntil(endLimit, func() bool { return !populated(dir) })
	}
	for {
		_, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.ECHILD {
			break
		}
		if err != nil && err != syscall.EINTR {
			return err
		}
	}
	if populated(dir) {
		return fmt.Errorf("%s is still populated: %s", dir, strings.Join(pidsBelow(dir), " "))
	}
	for _, job := range jobs {
		if err := remove(job); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

// seedHelper becomes a supervise with sleeping children, as the seed's clients do it. The first child is for the bench
// to kill, which learns its pid here.
func seedHelper(args []string) error {
	runtime.LockOSThread()
	canary, err := startSleep(nil)
	if err != nil {
		return err
	}
	if err := sleepers(args[1], nil); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, err := syscall.Write(1, binary.NativeEndian.AppendUint32(nil, uint32(canary))); err != nil {
		return err
	}
	return syscall.Exec(args[0], []string{"supervise"}, nil)
}
