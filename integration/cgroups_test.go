package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A group is a cgroup that these tests made. Nothing here touches any other.
type group struct {
	path string
}

// newRunGroup makes the cgroup that the whole run lives in: below the mount for root, else below our own cgroup.
func newRunGroup() (*group, error) {
	base, err := testbed.Ground()
	if err != nil {
		return nil, err
	}
	removeOldRuns(base)
	return makeGroup(filepath.Join(base, fmt.Sprintf("it-%d", os.Getpid())))
}

// removeOldRuns removes the empty cgroups of test runs that were killed.
func removeOldRuns(base string) {
	old, _ := filepath.Glob(filepath.Join(base, "it-*"))
	for _, path := range old {
		_, pid, _ := strings.Cut(filepath.Base(path), "-")
		_, err := os.Stat("/proc/" + pid)
		if g := (&group{path}); os.IsNotExist(err) && !g.populated() {
			g.destroy()
		}
	}
}

func makeGroup(path string) (*group, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	return &group{path}, nil
}

func (g *group) file(name string) string { return filepath.Join(g.path, name) }

// populated reports whether any process lives in the subtree.
func (g *group) populated() bool {
	data, _ := os.ReadFile(g.file("cgroup.events"))
	return strings.Contains(string(data), "populated 1")
}

// dirs lists the sub-cgroups, deepest last, as paths.
func (g *group) dirs() []string { return testbed.Below(g.path) }

// sessions lists what supervise must have removed: everything but the leaf that a supervisor evacuated itself into, which it
// cannot remove while it is there.
func (g *group) sessions() []string {
	var left []string
	for _, dir := range g.dirs() {
		if rel, _ := filepath.Rel(g.path, dir); rel != "supervisor" {
			left = append(left, rel)
		}
	}
	return left
}

// procs lists the processes of the whole subtree.
func (g *group) procs() []int {
	var pids []int
	for _, dir := range append(g.dirs(), g.path) {
		data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, f := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(f); err == nil && pid != 0 {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// kill ends everything in the group. The group is spent afterwards: the kernel kills what is born into it (kill_seq).
func (g *group) kill() {
	os.WriteFile(g.file("cgroup.kill"), []byte("1"), 0)
}

// waitEvent blocks until cgroup.events of the group contains want, or the time is over.
func (g *group) waitEvent(want string, left func() int) error {
	f, err := os.Open(g.file("cgroup.events"))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 256)
	for {
		n, err := f.ReadAt(buf, 0)
		if n == 0 && err != nil {
			return err
		}
		if strings.Contains(string(buf[:n]), want) {
			return nil
		}
		ms := left()
		if ms <= 0 {
			return fmt.Errorf("%s: no %q, but %q", g.path, want, buf[:n])
		}
		fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
		// The kernel may swallow a notification (at most one in 10 ms), so look again now and then.
		unix.Poll(fds, min(ms, 100))
	}
}

// destroy removes the group and what is below it, and says what was still there. Directories may be of mode 000.
func (g *group) destroy() error {
	var err error
	if procs := g.procs(); len(procs) > 0 {
		err = fmt.Errorf("processes left in %s: %s", g.path, describe(procs))
		g.kill()
		g.waitEvent("populated 0", countdown(killPatience))
	}
	g.unlock(g.path)
	dirs := g.dirs()
	for i := len(dirs) - 1; i >= 0; i-- {
		os.Remove(dirs[i])
	}
	return errors.Join(err, os.Remove(g.path))
}

// unlock makes every directory readable again, from the top down.
func (g *group) unlock(dir string) {
	os.Chmod(dir, 0o755)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			g.unlock(filepath.Join(dir, e.Name()))
		}
	}
}
