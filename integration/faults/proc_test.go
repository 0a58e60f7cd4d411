package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// settleTime is how long processes may outlive supervise: its guardian has to end the job, and itself, each call of which waits
// for the notifier. On a machine with a hundred processes to run that took more than ten seconds.
const settleTime = 40 * time.Second

// settle waits until no process below us is left.
func (b *bench) settle() error {
	end := time.Now().Add(patience(settleTime))
	for {
		pids := testbed.Children(os.Getpid())
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
	if !awaitEnd(pid, wait) {
		return false
	}
	unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return true
}

// awaitEnd waits for the end of a process, and says whether it came. One that is not there has ended.
func awaitEnd(pid int, wait time.Duration) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(time.Until(end).Milliseconds())))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

// killAll kills what is below us, until nothing is. What is waited for by others stays a zombie until it was.
func (b *bench) killAll() {
	for range 100 {
		live := slices.DeleteFunc(descendants(os.Getpid()), func(pid int) bool { s := state(pid); return s == "Z" || s == "" })
		if len(live) == 0 {
			return
		}
		for _, pid := range live {
			unix.Kill(pid, unix.SIGKILL)
		}
		for _, pid := range live {
			awaitEnd(pid, time.Second)
		}
	}
}

func descendants(pid int) (pids []int) {
	for _, child := range testbed.Children(pid) {
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
