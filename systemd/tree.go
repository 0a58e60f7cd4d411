package systemd

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A tree is the directory of a unit's cgroup.
type tree string

// tree returns the directory of a cgroup, and whether it exists.
func (h *Host) tree(cgroup string) (tree, bool) {
	for _, point := range h.Cgroups {
		var st unix.Statfs_t
		dir := filepath.Join(point, cgroup)
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return tree(dir), true
		}
	}
	return "", false
}

// holdsOnly says whether the tree holds all wanted processes, and no process that is not
// allowed.
func (t tree) holdsOnly(wanted, allowed []int) bool {
	found := map[int]bool{}
	err := filepath.WalkDir(string(t), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return readPIDs(name+"/cgroup.procs", func(pid int) error {
			if !slices.Contains(allowed, pid) {
				return errStranger
			}
			found[pid] = true
			return nil
		})
	})
	missing := func(pid int) bool { return !found[pid] }
	return err == nil && !slices.ContainsFunc(wanted, missing)
}

// errStranger ends the walk at a process that is not allowed.
var errStranger = errors.New("a process of somebody else")

// readPIDs calls f for each line of a cgroup.procs. A process outside our PID
// namespace is 0 there.
func readPIDs(file string, f func(pid int) error) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
		if err != nil {
			return err
		}
		if err := f(pid); err != nil {
			return err
		}
	}
	return nil
}

// writable says whether this process may move processes in the tree: without that a delegation
// is of no use. The login session of ssh, for example, is root's.
func (t tree) writable() bool {
	return unix.Faccessat(unix.AT_FDCWD, string(t)+"/cgroup.procs", unix.W_OK, unix.AT_EACCESS) == nil &&
		unix.Faccessat(unix.AT_FDCWD, string(t), unix.W_OK, unix.AT_EACCESS) == nil
}

// marked says whether systemd has marked the cgroup as delegated. The system's manager marks
// services and scopes, a user's manager does not. Only root can read trusted.*; cgroups have
// user.* since Linux 5.7.
func (t tree) marked() bool {
	for _, attr := range []string{"user.delegate", "trusted.delegate"} {
		var v [1]byte
		if n, err := unix.Getxattr(string(t), attr, v[:]); err == nil && n == 1 && v[0] == '1' {
			return true
		}
	}
	return false
}

// controllers are those that the cgroup may hand on.
func (t tree) controllers() []string {
	text, err := os.ReadFile(string(t) + "/cgroup.controllers")
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}
