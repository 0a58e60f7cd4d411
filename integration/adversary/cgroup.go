package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ownDir is the directory of the cgroup this process is in.
func ownDir() (string, error) {
	own, err := scan("/proc/self/cgroup", func(line string) (string, bool) { return strings.CutPrefix(line, "0::") })
	if err != nil {
		return "", err
	}
	mount, err := scan("/proc/self/mountinfo", func(line string) (string, bool) {
		head, tail, _ := strings.Cut(line, " - ")
		fields := strings.Fields(head)
		return fields[4], strings.HasPrefix(tail, "cgroup2 ")
	})
	return filepath.Join(mount, own), err
}

// scan returns what pick finds in the first line that fits.
func scan(file string, pick func(line string) (string, bool)) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if found, ok := pick(s.Text()); ok {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: no line of cgroup v2", file)
}

// enter moves a process, 0 being ourselves, to a cgroup.
func enter(dir string, pid int) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", pid), 0)
}

// move leaves for another cgroup, which is not the supervisor's, and makes daemons there.
func move(o options) error {
	if o.cgroup == "" {
		return errors.New("give -cgroup")
	}
	if err := enter(o.cgroup, 0); err != nil {
		return err
	}
	return daemon(o)
}

// lurkIn starts a lurker in a new sub-cgroup.
func lurkIn(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return lurkAt(dir)
}

func freeze(o options) error {
	dir, err := ownDir()
	if err != nil {
		return err
	}
	for i := range o.count {
		sub := filepath.Join(dir, fmt.Sprintf("ice%d", i))
		if err := lurkIn(sub); err != nil {
			return err
		}
		if err := freezeDir(sub); err != nil {
			return err
		}
	}
	return nil
}

func freezeDir(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0)
}

// freezeSelf says that it is ready first, as it cannot do so afterwards.
func freezeSelf(o options) error {
	dir, err := ownDir()
	if err != nil {
		return err
	}
	if err := spawnAll(o.count, lurk, o.count); err != nil {
		return err
	}
	fmt.Println("ready")
	return freezeDir(dir)
}

// nest makes a chain of sub-cgroups, and then takes away all rights from the deepest up.
func nest(o options) error {
	dir, err := ownDir()
	if err != nil {
		return err
	}
	var chain []string
	for range o.count {
		dir = filepath.Join(dir, "deeper")
		if err := lurkIn(dir); err != nil {
			return err
		}
		chain = append(chain, dir)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		if err := os.Chmod(chain[i], 0); err != nil {
			return err
		}
	}
	return nil
}

// rooted becomes root with all its IDs, so that the user that has started it may not signal it, and leaves for another cgroup.
func rooted(o options) error {
	if err := errors.Join(syscall.Setgid(0), syscall.Setuid(0)); err != nil {
		return err
	}
	return enter(o.cgroup, 0)
}
