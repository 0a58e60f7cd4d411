package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// Adopt moves running processes into the job. The caller's function each calls move for
// every process, and repeats the round until no call says that it moved one: a process
// that was not moved yet may fork. A moved process is frozen meanwhile, and cannot. On an
// error Adopt puts the processes moved so far into this process's own cgroup, and leaves
// the job as empty as before.
func (j *Job) Adopt(each func(move func(pid int) (moved bool, err error)) error) error {
	inside, err := procPath(j.main.path)
	if err != nil {
		return err
	}
	if err := j.main.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	err = each(func(pid int) (bool, error) { return j.move(pid, inside) })
	if err != nil {
		err = errors.Join(err, j.evict())
	}
	return errors.Join(err, j.main.write("cgroup.freeze", "0"))
}

// move puts a process into the leaf, unless it is there already. The leaf's path in
// /proc/PID/cgroup is inside.
func (j *Job) move(pid int, inside string) (moved bool, err error) {
	if isInside(pid, inside) {
		return false, nil
	}
	err = j.main.write("cgroup.procs", strconv.Itoa(pid))
	switch {
	case errors.Is(err, unix.ESRCH): // gone
		return false, nil
	case errors.Is(err, unix.EINVAL): // the process is being forked: the caller tries again
		return true, nil
	case err != nil:
		return false, err
	}
	s, err := proc.ReadStat(pid)
	exiting := err == nil && (s.Exiting() || s.Headless()) // the kernel leaves an exiting process where it was, without an error, and moves its live threads
	return !exiting, nil
}

// Capture moves a process into the leaf and SIGKILLs all that is there. For both it needs no
// permission over the process, which may be another user's, but over its cgroup and this one
// (cgroups(7), "Delegation").
func (j *Job) Capture(pid int) error {
	leaf, err := j.leaf()
	if err == nil {
		err = leaf.write("cgroup.procs", strconv.Itoa(pid))
	}
	if err != nil {
		return err
	}
	return j.Kill()
}

// evict moves every process of the job to this process's own cgroup.
func (j *Job) evict() error {
	here, err := locate()
	if err != nil {
		return err
	}
	own, err := openDir(here.path)
	if err != nil {
		return err
	}
	defer own.close()
	pids, err := j.Procs()
	for _, pid := range pids {
		if e := own.write("cgroup.procs", strconv.Itoa(pid)); !errors.Is(e, unix.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// procPath returns a cgroup as /proc/PID/cgroup names it.
func procPath(dir string) (string, error) {
	here, err := locate()
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(here.mount.point, "/"))
	if !ok {
		return "", fmt.Errorf("%s is not below %s", dir, here.mount.point)
	}
	return strings.TrimSuffix(here.mount.root, "/") + rest, nil
}

// isInside says whether a process is in the leaf or below it, or is gone.
func isInside(pid int, leaf string) bool {
	b, err := proc.Read(pid, "cgroup", 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	own, ok := proc.ParseCgroup(b)
	return !ok || own == leaf || strings.HasPrefix(own, leaf+"/")
}

// Outside returns the processes of a list that are neither in a cgroup nor below it. The
// path is written as in /proc/self/cgroup.
func Outside(path string, pids []int) (outside []int) {
	for _, pid := range pids {
		if !isInside(pid, path) {
			outside = append(outside, pid)
		}
	}
	return outside
}
