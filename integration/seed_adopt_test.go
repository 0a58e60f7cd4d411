package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The children that exist at exec, and all that they have forked by then, are moved into the job however busily they fork.
// In the fallback the same processes are ended where they are.
func TestSeedAdoption(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	// Every orphan that ends stays a zombie until the owner has read of it, so none of them may go at full speed: if
	// something fails they would use up all pids.
	busy := [][]string{
		adversary("busy", "-count=3", "-pause=20000"),
		shell("while :; do (:); done"),
		shell("while :; do setsid sleep 0.2 & (sleep 0.1 &); (:); sleep 0.01; done"),
		sleeper,
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for range rounds {
			s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: busy})
			s.readUntilKilled(s.pids[len(busy)-1])
			// A process that is just being forked shows the root cgroup for a moment (kernel/fork.c: it is visible before
			// cgroup_post_fork). Who was left outside stays there, as do all lineages.
			if c == inCgroup {
				eventually(t, "looking for processes outside the job", func() error {
					if out := outsideJobs(); len(out) > 0 {
						return fmt.Errorf("there are %q", out)
					}
					return nil
				})
			}
			if c == inSubreaper && !allOutside() {
				t.Error("this is to be the fallback, but there is a job")
			}
			s.closeRequests()
			for more := true; more; { // pids come round again: no use to look at them
				_, more = s.next()
			}
			s.wait().wantCode(0)
		}
	})
}

// readUntilKilled has a child killed, and reads what happens to all others meanwhile.
func (s *seed) readUntilKilled(pid int) {
	s.t.Helper()
	s.send(pid, syscall.SIGKILL)
	for {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("no event of %d; stderr: %s", pid, s.stderr)
		}
		if e == killed(pid) {
			return
		}
	}
}

// outsideJobs lists our living descendants that are not in a job, supervisors and guardians excepted.
func outsideJobs() (out []string) {
	for _, pid := range descendants() {
		cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil || strings.Contains(string(cgroup), "/jobs-") || isSupervise(pid) {
			continue
		}
		// The dead cannot be moved.
		if lives(pid) {
			out = append(out, describe([]int{pid}))
		}
	}
	return out
}

// isSupervise goes by the name: what it executes is root's alone to see.
func isSupervise(pid int) bool {
	return slices.Contains([]string{"supervise", "guardian", "sentinel"}, comm(pid))
}

// allOutside reports whether no descendant is in a job.
func allOutside() bool {
	for _, pid := range descendants() {
		cgroup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if strings.Contains(string(cgroup), "/jobs-") {
			return false
		}
	}
	return true
}

// lives reports whether a process is there and has not ended.
func lives(pid int) bool {
	now := state(pid)
	return now != "" && now != "Z" && now != "X"
}
