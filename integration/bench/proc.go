package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// children lists the living and dead children of a process.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(data)) {
			if p, err := strconv.Atoi(f); err == nil {
				pids = append(pids, p)
			}
		}
	}
	return pids
}

// tree lists a process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	for _, c := range children(pid) {
		pids = append(pids, tree(c)...)
	}
	return pids
}

// running lists those of a process tree that execute the given program. For supervise that is the supervisor and its
// guardian, whichever of the two is the parent.
func running(pid int, program string) (pids []int) {
	for _, p := range tree(pid) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p)); err == nil && exe == program {
			pids = append(pids, p)
		}
	}
	return pids
}

// field adds up a numeric field of a "Name: value" file.
func field(path, name string) int {
	data, _ := os.ReadFile(path)
	sum := 0
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.Atoi(f[0])
				sum += n
			}
		}
	}
	return sum
}

// pss is the proportional set size of some processes in kilobytes.
func pss(pids []int) (kb int) {
	for _, p := range pids {
		kb += field(fmt.Sprintf("/proc/%d/smaps_rollup", p), "Pss")
	}
	return kb
}

// switches counts the context switches of all threads of some processes.
func switches(pids []int) (n int) {
	for _, p := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p))
		for _, t := range tasks {
			n += field(t, "voluntary_ctxt_switches") + field(t, "nonvoluntary_ctxt_switches")
		}
	}
	return n
}

// cpuTime is what a process and those that it waited for have used (proc_pid_stat(5), fields 14 to 17, in ticks of 10 ms).
func cpuTime(pid int) (sum time.Duration) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	for i, f := range strings.Fields(rest) {
		if n, err := strconv.Atoi(f); err == nil && i >= 11 && i < 15 {
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// waitUntil asks again and again; it is for what gives no event.
func waitUntil(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !cond(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
