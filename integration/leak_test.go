package integration

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// countdown returns a function that gives the milliseconds left.
func countdown(d time.Duration) func() int {
	end := time.Now().Add(d)
	return func() int { return max(0, int(time.Until(end).Milliseconds())) }
}

// atEOF reports whether the leak pipe has no writer left, waiting for that at most so long.
func atEOF(fd int, wait time.Duration) bool {
	left := countdown(wait)
	for {
		fds := []unix.PollFd{{Fd: int32(fd)}} // POLLHUP is always reported
		n, err := unix.Poll(fds, left())
		if err != unix.EINTR {
			return n == 1 && fds[0].Revents&unix.POLLHUP != 0
		}
	}
}

// waitPid blocks until the process ends, at most so long. A process that is not there has ended.
func waitPid(pid int, wait time.Duration) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	left := countdown(wait)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, left())
		if n == 1 {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("still there after %v: %s", wait, describe([]int{pid}))
		}
	}
}

// settle waits until no child is left but those that the box waits for itself: what was re-parented to us is to end by
// itself (a guardian at work), and is reaped here. It names what stays.
func (b *box) settle(wait time.Duration) error {
	left := countdown(wait)
	for {
		strays := b.strays()
		if len(strays) == 0 {
			return nil
		}
		for _, pid := range strays {
			if err := waitPid(pid, time.Duration(left())*time.Millisecond); err != nil {
				return errors.New("processes left: " + describe(b.strays()))
			}
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// strays are our children that the box did not start. One that ends meanwhile is none.
func (b *box) strays() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var started []int
	for _, p := range b.procs {
		if p.running() {
			started = append(started, p.pid())
		}
	}
	return slices.DeleteFunc(testbed.Children(os.Getpid()), func(pid int) bool { return slices.Contains(started, pid) })
}

// descendants are all processes below us, parents first. As we are a subreaper none can leave.
func descendants() []int { return firstDescendants(1 << 22) }

// firstDescendants are so many of them at most: who describes a storm before it is ended cannot wait for all of it.
func firstDescendants(most int) []int {
	var found []int
	seen := map[int]bool{}
	var walk func(pid int)
	walk = func(pid int) {
		for _, child := range testbed.Children(pid) {
			if len(found) < most && !seen[child] {
				seen[child] = true
				found = append(found, child)
				walk(child)
			}
		}
	}
	walk(os.Getpid())
	return found
}

// killDescendants ends everything below us, also what forks as fast as it can: stop all, then kill all. Processes that a
// proc waits for become zombies until it has done so. It goes by pidfds: a storm of forks comes round to the same pid within
// seconds, and by then it is somebody else's.
func killDescendants() {
	for left := countdown(killPatience); left() > 0; {
		stopped := stopDescendants(left)
		for _, fd := range stopped {
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		for _, fd := range stopped {
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, left())
			unix.Close(fd)
		}
		if !slices.ContainsFunc(descendants(), func(pid int) bool { return state(pid) != "Z" }) {
			return
		}
	}
}

// stopDescendants stops until a pass finds nobody new, and returns pidfds.
func stopDescendants(left func() int) map[int]int {
	stopped := map[int]int{}
	for grown := true; grown && left() > 0; {
		grown = false
		for _, pid := range descendants() {
			if _, ok := stopped[pid]; ok {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			if _, ok := stopped[parent(pid)]; !ok && parent(pid) != os.Getpid() {
				unix.Close(fd) // not below us any more, or below one that comes first
				continue
			}
			grown, stopped[pid] = true, fd
			unix.PidfdSendSignal(fd, unix.SIGSTOP, nil, 0)
		}
	}
	return stopped
}

// openFds maps our descriptors to what they are.
func openFds() map[string]string {
	fds := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		// The descriptor that read the directory is gone by now.
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[e.Name()] = name
		}
	}
	return fds
}

// describe names processes, for messages.
func describe(pids []int) string {
	var names []string
	for _, pid := range pids {
		var cmdline []byte
		if state(pid) != "D" { // else the reading may hang as well
			cmdline, _ = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		}
		argv := strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
		names = append(names, fmt.Sprintf("%d %s %s [%s]", pid, comm(pid), state(pid), argv))
		if len(names) == 20 {
			names = append(names, fmt.Sprintf("and %d more", len(pids)-20))
			break
		}
	}
	return strings.Join(names, "; ")
}

// comm is the name of a process, "" if it is not there.
func comm(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(data))
}

// parent is the fourth field of /proc/PID/stat, 0 if the process is not there.
func parent(pid int) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	if fields := strings.Fields(rest); len(fields) > 1 {
		ppid, _ := strconv.Atoi(fields[1])
		return ppid
	}
	return 0
}

// state is the letter in /proc/PID/stat, "" if the process is not there.
func state(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	if rest == "" {
		return ""
	}
	return rest[:1]
}
