package c

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inCgroup has a command born in a fresh cgroup, of which nothing may be left at the end of the test.
func inCgroup(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	group, err := makeCgroup()
	need(t, "a cgroup of our own", err)
	fd, err := unix.Open(group, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	t.Cleanup(func() {
		unix.Close(fd)
		dirs := below(group)
		for _, dir := range dirs {
			t.Errorf("cgroup left: %s", dir)
			os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		}
		slices.Reverse(dirs)
		for _, dir := range append(dirs, group) {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	})
}

// makeCgroup makes one: below the mount for root, else below our own.
func makeCgroup() (string, error) {
	base, err := cgroup2Mount()
	if err == nil && os.Geteuid() != 0 {
		var own []byte
		own, err = os.ReadFile("/proc/self/cgroup")
		_, path, _ := strings.Cut(string(own), "0::")
		base = filepath.Join(base, strings.TrimSpace(path))
	}
	if err != nil {
		return "", err
	}
	group := filepath.Join(base, fmt.Sprintf("it-c-%d", os.Getpid()))
	return group, os.Mkdir(group, 0o755)
}

func cgroup2Mount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		head, tail, _ := strings.Cut(s.Text(), " - ")
		fields := strings.Fields(head)
		if strings.HasPrefix(tail, "cgroup2 ") && len(fields) > 4 && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errors.New("no cgroup2 mount in /proc/self/mountinfo")
}

// below lists the cgroups in a cgroup, each before those in it.
func below(group string) (dirs []string) {
	filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != group {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
