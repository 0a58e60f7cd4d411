package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Attacks on the cgroups of the job, and on those around them.

// some is done if one of the attempts was.
func some(attempts ...error) error {
	for _, err := range attempts {
		if err == nil {
			return nil
		}
	}
	return errors.Join(attempts...)
}

func (f *field) dirs() []string { return []string{f.main, f.node, f.session} }

func write(dir, file, value string) error {
	if dir == "" {
		return errNoTarget
	}
	fd, err := unix.Open(filepath.Join(dir, file), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return err
}

// chmodFiles takes the rights away from all files of the job's cgroups.
func chmodFiles(f *field) error {
	var all []error
	for _, dir := range f.dirs() {
		files, _ := filepath.Glob(filepath.Join(dir, "*.*"))
		for _, file := range files {
			all = append(all, os.Chmod(file, 0))
		}
	}
	return some(append(all, errNoTarget)...)
}

// chmodDirs takes the rights away from the directories.
func chmodDirs(f *field) error {
	if f.node == "" {
		return errNoTarget
	}
	return some(os.Chmod(f.main, 0), os.Chmod(f.node, 0), os.Chmod(f.session, 0))
}

// moveOut starts two processes that leave the session, one for a cgroup of its own, and leaves itself.
func moveOut(f *field) error {
	if f.root == "" {
		return errNoTarget
	}
	elsewhere := filepath.Join(f.root, "elsewhere")
	os.Mkdir(elsewhere, 0o755)
	return some(lurkAt(f.root), lurkAt(elsewhere), enter(f.root, 0))
}

// resetLimits takes off the mark by which a supervisor knows what has left: a soft limit.
func resetLimits() error {
	var failed error
	for _, resource := range []int{unix.RLIMIT_LOCKS, unix.RLIMIT_RTTIME} {
		var limit unix.Rlimit
		failed = errors.Join(failed, unix.Getrlimit(resource, &limit))
		limit.Cur = limit.Max
		failed = errors.Join(failed, unix.Setrlimit(resource, &limit))
	}
	return failed
}

// lurkAt starts a lurker and moves it.
func lurkAt(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	tellFd = int(w.Fd())
	pid := spawn(lurkInSession)
	w.Close()
	if _, err := readN(r, 1); err != nil {
		return err
	}
	return enter(dir, pid)
}

// makeThreaded makes the job's cgroups threaded, where cgroup.kill is refused. They must be empty for it.
func makeThreaded(f *field) error {
	if f.root == "" {
		return errNoTarget
	}
	var moved []int
	b, _ := os.ReadFile(filepath.Join(f.main, "cgroup.procs"))
	for word := range strings.FieldsSeq(string(b)) {
		var pid int
		fmt.Sscan(word, &pid)
		if enter(f.root, pid) == nil {
			moved = append(moved, pid)
		}
	}
	err := some(write(f.node, "cgroup.type", "threaded"), write(f.session, "cgroup.type", "threaded"))
	write(f.main, "cgroup.type", "threaded")
	for _, pid := range moved {
		enter(f.main, pid)
	}
	return err
}

func removeXattrs(f *field) error {
	all := []error{errNoTarget}
	for _, dir := range f.dirs() {
		names := make([]byte, 4096)
		n, err := unix.Listxattr(dir, names)
		if err != nil || dir == "" {
			continue
		}
		for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
			all = append(all, unix.Removexattr(dir, name))
		}
	}
	return some(all...)
}

// lockSession holds the lock of the session, for as long as a process of the job lives.
func lockSession(f *field) error {
	all := []error{errNoTarget}
	for _, dir := range []string{f.session, f.node, f.main} {
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = some(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB))
		}
		all = append(all, err)
	}
	err := some(all...)
	return errors.Join(err, setsid(options{count: 1})) // who inherits the lock
}

// writeLimits takes all limits off the job.
func writeLimits(f *field) error {
	var all []error
	for _, file := range []string{
		"cgroup.max.descendants", "cgroup.max.depth", "memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max",
	} {
		all = append(all, write(f.node, file, "max"))
	}
	return some(all...)
}

// noDescendants leaves no room for other jobs.
func noDescendants(f *field) error {
	return some(write(f.session, "cgroup.max.descendants", "0"), write(f.session, "cgroup.max.depth", "0"), write(f.root, "cgroup.max.descendants", "0"))
}

func freezeLate(f *field) error {
	if f.node == "" { // its own cgroup is that of supervise
		return errNoTarget
	}
	late = append(late, func() error {
		return some(write(f.session, "cgroup.freeze", "1"), write(f.node, "cgroup.freeze", "1"), write(f.main, "cgroup.freeze", "1"))
	})
	return unix.Access(filepath.Join(f.main, "cgroup.freeze"), unix.W_OK)
}

// freezeSupervisor freezes the cgroup that supervise is in, or the one above: with it the job.
func freezeSupervisor(f *field) error {
	own, err := scan(fmt.Sprintf("/proc/%d/cgroup", f.supervisor), func(line string) (string, bool) { return strings.CutPrefix(line, "0::") })
	if err != nil || f.supervisor == 0 || f.root == "" {
		return errNoTarget
	}
	dir := f.root
	if filepath.Base(own) == "supervisor" {
		dir = filepath.Join(f.root, "supervisor")
	}
	late = append(late, func() error { return write(dir, "cgroup.freeze", "1") })
	return unix.Access(filepath.Join(dir, "cgroup.freeze"), unix.W_OK)
}

// dig makes a chain of sub-cgroups, each in the one before, and starts a process at its end.
func dig(f *field, depth int) error {
	at, err := unix.Open(f.main, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for range depth {
		if err != nil {
			return err
		}
		if err = unix.Mkdirat(at, "d", 0o755); err != nil && err != unix.EEXIST {
			break
		}
		var next int
		next, err = unix.Openat(at, "d", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(at)
		at = next
	}
	defer unix.Close(at)
	if err != nil {
		return err
	}
	return lurkAt(fmt.Sprintf("/proc/self/fd/%d", at))
}
