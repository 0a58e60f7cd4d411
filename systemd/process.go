package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// cgroupOf returns the cgroup v2 path of a process, the line "0::/path" in
// /proc/PID/cgroup (cgroups(7)).
func (h *Host) cgroupOf(pid int) (string, error) {
	text, err := os.ReadFile(h.Proc + "/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", fmt.Errorf("finding the cgroup of process %d: %w", pid, err)
	}
	if cgroup, ok := parseCgroup(text); ok {
		return cgroup, nil
	}
	return "", fmt.Errorf("finding the cgroup of process %d: cgroup v2 is not in use", pid)
}

func parseCgroup(text []byte) (string, bool) {
	for line := range bytes.Lines(text) {
		if p, ok := bytes.CutPrefix(line, []byte("0::/")); ok {
			p = bytes.TrimSuffix(p, []byte("\n"))
			return "/" + strings.TrimSuffix(string(p), " (deleted)"), true
		}
	}
	return "", false
}

// ended says that a process is gone, or a zombie, which stays where it ended.
func (h *Host) ended(pid int) bool {
	stat, err := os.ReadFile(h.Proc + "/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	// pid (name) state ...; the name may hold anything, ")" too.
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(rest) > 1 && (rest[1] == 'Z' || rest[1] == 'X')
}

// arrived makes sure that processes are in a unit, and returns its cgroup. One
// that has ended meanwhile needs no moving, but somebody must be there.
func (h *Host) arrived(pids []int, name string) (cgroup string, err error) {
	for _, pid := range pids {
		at, err := h.cgroupOf(pid)
		u, ok := parseUnit(at)
		switch {
		case ok && u.name == name:
			cgroup = u.cgroup
		case h.ended(pid):
		case err != nil:
			return "", err
		default:
			return "", fmt.Errorf("the manager said done, but process %d is in %s", pid, at)
		}
	}
	if cgroup == "" {
		return "", errors.New("all processes that were to be moved have ended")
	}
	return cgroup, nil
}
