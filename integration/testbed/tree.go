package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Children reads the children of all threads of a process, living and dead.
func Children(pid int) (pids []int) {
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

// Commands are the command lines of all processes that can be seen, by their pids, with a blank behind each word.
func Commands() map[int]string {
	commands := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if data, e := os.ReadFile(file); err == nil && e == nil {
			commands[pid] = strings.ReplaceAll(string(data), "\x00", " ")
		}
	}
	return commands
}

// Running are the command lines with such a part of all processes that can be seen, each behind its pid.
func Running(part string) (found []string) {
	for pid, command := range Commands() {
		if strings.Contains(command, part) {
			found = append(found, fmt.Sprint(pid, " ", command))
		}
	}
	return found
}
