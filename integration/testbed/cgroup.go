package testbed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Mount finds where cgroup v2 is mounted, all of it. The machine may be hybrid: the v1 hierarchies beside it are never
// touched.
func Mount() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		head, tail, _ := strings.Cut(line, " - ")
		fields := strings.Fields(head)
		if strings.HasPrefix(tail, "cgroup2 ") && len(fields) > 4 && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errors.New("no cgroup2 mount in /proc/self/mountinfo")
}

// Own is the v2 line of /proc/self/cgroup: our cgroup, as seen from the mount.
func Own() (string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("no v2 line in /proc/self/cgroup")
}

// OwnDir is the directory of our cgroup.
func OwnDir() (string, error) {
	mount, err := Mount()
	if err != nil {
		return "", err
	}
	own, err := Own()
	return filepath.Join(mount, own), err
}

// Ground is the directory below which a test run makes its cgroups: the mount for root, else our own.
func Ground() (string, error) {
	if os.Geteuid() == 0 {
		return Mount()
	}
	return OwnDir()
}

// Below lists the cgroups below one, parents first.
func Below(dir string) (dirs []string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != dir {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
