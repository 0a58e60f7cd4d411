package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is how long processes may outlive supervise: its guardian has to end the job, and itself.
const settleTime = 8 * time.Second

// settle waits until no process below us is left.
func (b *bench) settle() error {
	end := time.Now().Add(settleTime)
	for {
		pids := children(os.Getpid())
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if !waitFor(pid, time.Until(end)) {
				return errors.New("processes left: " + describe(descendants(os.Getpid())))
			}
		}
	}
}

// waitFor reaps a child, or says that it did not end in time.
func waitFor(pid int, wait time.Duration) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true // it was reaped
	}
	defer unix.Close(fd)
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(time.Until(end).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if n == 1 {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		return n == 1
	}
}

// killAll kills what is below us, until nothing is. What is waited for by others stays a zombie until it was.
func (b *bench) killAll() {
	for range 1000 {
		live := 0
		for _, pid := range descendants(os.Getpid()) {
			if s := state(pid); s != "Z" && s != "" {
				unix.Kill(pid, unix.SIGKILL)
				live++
			}
		}
		if live == 0 {
			return
		}
		for _, dir := range b.cgroups() { // a frozen process dies nevertheless, one of a frozen cgroup v1 not; no harm
			os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0)
		}
		time.Sleep(time.Millisecond)
	}
}

func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

func descendants(pid int) (pids []int) {
	for _, child := range children(pid) {
		pids = append(append(pids, child), descendants(child)...)
	}
	return pids
}

func state(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if _, rest, _ := strings.Cut(string(data), ") "); rest != "" {
		return rest[:1]
	}
	return ""
}

func describe(pids []int) string {
	var names []string
	for _, pid := range pids {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		where, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
		argv := bytes.TrimSpace(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))
		names = append(names, fmt.Sprintf("%d %s %s [%s]", pid, state(pid), where, argv[:min(len(argv), 60)]))
	}
	return strings.Join(names, "; ")
}
