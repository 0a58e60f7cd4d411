package systemd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// cgroupOf returns the cgroup v2 path of a process, the line "0::/path" in
// /proc/PID/cgroup (cgroups(7)).
func (h *Host) cgroupOf(pid int) (string, error) {
	text, err := os.ReadFile(h.Proc + "/" + strconv.Itoa(pid) + "/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no process %d", pid)
	}
	if err != nil {
		return "", fmt.Errorf("finding the cgroup of process %d: %w", pid, err)
	}
	if cgroup, ok := proc.ParseCgroup(text); ok {
		return strings.TrimSuffix(cgroup, " (deleted)"), nil // the kernel's mark for a zombie whose cgroup was removed
	}
	return "", fmt.Errorf("finding the cgroup of process %d: cgroup v2 is not in use", pid)
}

// ended says that a process is gone, or a zombie, which stays where it ended.
func (h *Host) ended(pid int) bool {
	text, err := os.ReadFile(h.Proc + "/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	s, err := proc.ParseStat(text)
	return err == nil && (s.State == 'Z' || s.State == 'X')
}

// dropGone takes processes that do not exist any more off a list. It says whether it took any
// off; it leaves the list alone if no process would remain.
func (h *Host) dropGone(pids *[]int) bool {
	there := slices.DeleteFunc(slices.Clone(*pids), func(pid int) bool {
		_, err := os.Stat(h.Proc + "/" + strconv.Itoa(pid))
		return errors.Is(err, fs.ErrNotExist)
	})
	if len(there) == 0 || len(there) == len(*pids) {
		return false
	}
	*pids = there
	return true
}

// numbers are PIDs as D-Bus has them.
func numbers(pids []int) []uint32 {
	n := make([]uint32, len(pids))
	for i, pid := range pids {
		n[i] = uint32(pid)
	}
	return n
}

// arrived makes sure that processes are in a unit, and returns its cgroup. A process may have
// ended meanwhile, but at least one must be in the unit.
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
