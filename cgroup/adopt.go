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

// Adopt moves running processes into the job. Each is to call its argument with
// every process concerned, again and again until there is none for which that
// says that it did something. What has been moved is frozen meanwhile, and cannot
// fork. On an error the processes moved so far are put back where this process
// is, and the job is as empty as before.
func (j *Job) Adopt(each func(move func(pid int) (moved bool, err error)) error) error {
	inside, err := j.procPath()
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

// move puts a process into the leaf, whose path is inside, if it is not there.
func (j *Job) move(pid int, inside string) (moved bool, err error) {
	if isInside(pid, inside) {
		return false, nil
	}
	err = j.main.write("cgroup.procs", strconv.Itoa(pid))
	switch {
	case errors.Is(err, unix.ESRCH): // gone
		return false, nil
	case errors.Is(err, unix.EINVAL): // it is being forked: once more
		return true, nil
	case err != nil:
		return false, err
	}
	s, err := proc.ReadStat(pid)
	exiting := err == nil && s.Exiting() // such a process stays where it was, without an error; its live threads are moved
	return !exiting, nil
}

// evict moves everything in the job to where we are.
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

// procPath returns the leaf as /proc/PID/cgroup names it.
func (j *Job) procPath() (string, error) {
	here, err := locate()
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(j.main.path, strings.TrimSuffix(here.mount.point, "/"))
	if !ok {
		return "", fmt.Errorf("%s is not below %s", j.main.path, here.mount.point)
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

// Outside returns those of some processes that are not in a cgroup, or below it.
// The path is as /proc/self/cgroup has it.
func Outside(path string, pids []int) (outside []int) {
	for _, pid := range pids {
		if !isInside(pid, path) {
			outside = append(outside, pid)
		}
	}
	return outside
}
