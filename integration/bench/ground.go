package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// ground is the cgroup that everything of the bench lives in, so that whatever goes wrong can be ended and is seen:
//
//	<own cgroup>/bench-<pid>/self  this process, and what it starts without more ado
//	<own cgroup>/bench-<pid>/<n>   one fresh directory for each tree of processes
//
// Without a writable cgroup2 the directories are empty strings, and there is neither.
type ground struct {
	home string // where this process came from
	dir  string
	next int
}

func newGround() (*ground, error) {
	home, err := ownCgroup()
	if err != nil {
		return &ground{}, nil
	}
	g := &ground{home: home, dir: filepath.Join(home, fmt.Sprintf("bench-%d", os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			fmt.Fprintf(os.Stderr, "bench: %v: without a cgroup of our own, some measures are left out\n", err)
			return &ground{}, nil
		}
		return nil, err
	}
	self := filepath.Join(g.dir, "self")
	if err := os.Mkdir(self, 0o755); err != nil {
		return nil, err
	}
	return g, enter(self)
}

// ownCgroup finds this process's directory in the cgroup2 file system.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	path := ""
	for _, line := range strings.Split(string(own), "\n") {
		if p, ok := strings.CutPrefix(line, "0::"); ok {
			path = p
		}
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		mount, kind, _ := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		if len(f) < 5 || !strings.HasPrefix(kind, "cgroup2 ") {
			continue
		}
		if below, ok := strings.CutPrefix(path, strings.TrimSuffix(f[3], "/")); ok {
			return filepath.Join(f[4], below), nil
		}
	}
	return "", errors.New("no cgroup2 mount shows the own cgroup")
}

func enter(dir string) error { return write(dir, "cgroup.procs", "0") }

// write writes into a file of a cgroup. Where that has gone it makes no other.
func write(dir, file, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (g *ground) usable() bool { return g.dir != "" }

// self is where this process is; "": there is no cgroup for it.
func (g *ground) self() string {
	if !g.usable() {
		return ""
	}
	return filepath.Join(g.dir, "self")
}

// fresh makes a directory that never saw a cgroup.kill: a process born into one that did is killed at birth.
func (g *ground) fresh() (string, error) {
	if !g.usable() {
		return "", nil
	}
	g.next++
	dir := filepath.Join(g.dir, strconv.Itoa(g.next))
	return dir, os.Mkdir(dir, 0o755)
}

// clear removes a directory of fresh. What is still in there has escaped its supervisor: it is killed and reported. A
// guardian may need a moment longer than its supervisor. The leaf "supervisor" is where a supervisor that was alone in
// its cgroup has put itself; it cannot remove that while it is in it.
func (g *ground) clear(dir string) error {
	if dir == "" {
		return nil
	}
	waitUntil(time.Second, func() bool { return !populated(dir) })
	left := pidsBelow(dir)
	for _, d := range testbed.Below(dir) {
		if d != filepath.Join(dir, "supervisor") {
			left = append(left, d)
		}
	}
	removeAll(dir)
	if len(left) > 0 {
		return fmt.Errorf("left behind: %v", left)
	}
	return nil
}

// close ends everything below and goes home.
func (g *ground) close() error {
	if !g.usable() {
		return nil
	}
	// cgroup.kill on g.dir itself would take us along.
	entries, _ := os.ReadDir(g.dir)
	for _, e := range entries {
		if e.IsDir() && e.Name() != "self" {
			removeAll(filepath.Join(g.dir, e.Name()))
		}
	}
	err := enter(g.home)
	left := append(pidsBelow(g.dir), testbed.Below(filepath.Join(g.dir, "self"))...)
	removeAll(g.dir)
	g.dir = ""
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left behind: %v", left))
	}
	return err
}

// removeAll kills what lives in a cgroup and removes the tree, deepest first.
func removeAll(dir string) {
	write(dir, "cgroup.kill", "1")
	waitUntil(10*time.Second, func() bool { return !populated(dir) })
	dirs := testbed.Below(dir)
	for i := len(dirs) - 1; i >= 0; i-- {
		os.Remove(dirs[i])
	}
	os.Remove(dir)
}

func populated(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return err == nil && strings.Contains(string(data), "populated 1")
}

// pidsBelow lists the processes in dir and its sub-cgroups.
func pidsBelow(dir string) (pids []string) {
	for _, d := range append([]string{dir}, testbed.Below(dir)...) {
		data, _ := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		pids = append(pids, strings.Fields(string(data))...)
	}
	return pids
}
