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

// Adopt moves running processes into the job. The caller's function each calls move with all
// that there are, the oldest first, and repeats the round until move says that it moved none, and
// there are no others than in the round before: a process that was not moved yet may fork, and one
// that ends may have left a child.
//
// Where two rounds do not find the end of it, what is in the job is frozen, and thawed when all is
// done. Processes that do nothing are not: the kernel wakes what it freezes, on any processor, and
// one that has run on two takes longer to end (Linux 6.18: 15 us for each of 1,000).
//
// On an error Adopt puts the processes moved so far into this process's own cgroup, and leaves
// the job as empty as before.
func (j *Job) Adopt(each func(move func(pids []int) (moved bool, err error)) error) error {
	j.s.comes()
	a := adoption{Job: j, tried: map[int]bool{}}
	err := each(a.round)
	if err != nil {
		err = errors.Join(err, j.evict())
	}
	if a.rounds > quietRounds {
		err = errors.Join(err, j.main.write("cgroup.freeze", "0"))
	}
	return err
}

// quietRounds are those before what is in the job is frozen.
const quietRounds = 2

// An adoption is one run of Adopt.
type adoption struct {
	*Job
	tried  map[int]bool // in an earlier round
	rounds int          // that are over
}

// round moves those processes that are not in the job yet. Which are it learns from the job, not
// from /proc/PID/cgroup: each file that is opened there has a name in the kernel's cache, and to
// forget that takes 1 us and more when the process is reaped.
//
// The oldest come first: the kernel kills in the order in which they came (css_task_iter), and
// waitid(2) finds a child at once if the older ones have been reaped.
func (a *adoption) round(pids []int) (moved bool, err error) {
	if a.rounds == quietRounds {
		if err := a.main.write("cgroup.freeze", "1"); err != nil {
			return false, err
		}
	}
	a.rounds++
	inside, err := a.Procs()
	if err != nil {
		return false, err
	}
	is := make(map[int]bool, len(inside))
	for _, pid := range inside {
		is[pid] = true
	}
	for _, pid := range pids {
		if is[pid] {
			continue
		}
		now, err := a.move(pid)
		if err != nil {
			return false, err
		}
		moved = moved || now
	}
	return moved, nil
}

// move puts a process into the leaf.
func (a *adoption) move(pid int) (moved bool, err error) {
	if a.tried[pid] && isLeaving(pid) {
		return false, nil
	}
	err = a.main.write("cgroup.procs", strconv.Itoa(pid))
	switch {
	case errors.Is(err, unix.ESRCH): // gone
		return false, nil
	case errors.Is(err, unix.EINVAL): // the process is being forked: the caller tries again
		return true, nil
	}
	a.tried[pid] = true
	return err == nil, err
}

// isLeaving says of a process that is still outside whether the kernel leaves it there, without
// an error: it is exiting, or nothing but threads is left of it, which are moved.
func isLeaving(pid int) bool {
	s, err := proc.ReadStat(pid)
	return err == nil && (s.Exiting() || s.Headless())
}

// Capture moves a process into the leaf and SIGKILLs all that is there. For both it needs no
// permission over the process, which may be another user's, but over its cgroup and this one
// (cgroups(7), "Delegation").
func (j *Job) Capture(pid int) error {
	j.s.comes()
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
