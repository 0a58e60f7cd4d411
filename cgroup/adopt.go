package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// adoptPasses bounds Adopt. Everything that has been moved is frozen and cannot
// fork, so each pass leaves fewer processes that can.
const adoptPasses = 1000

// Adopt moves running processes into the job: whatever list names, asked again
// until a pass finds none outside. On an error the processes moved so far are
// put back where this process is, and the job is as empty as before.
func (j *Job) Adopt(list func() ([]int, error)) error {
	if err := j.main.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	err := j.adopt(list)
	if err != nil {
		err = errors.Join(err, j.evict())
	}
	return errors.Join(err, j.main.write("cgroup.freeze", "0"))
}

func (j *Job) adopt(list func() ([]int, error)) error {
	inside, err := j.procPath()
	if err != nil {
		return err
	}
	for range adoptPasses {
		pids, err := list()
		if err != nil {
			return err
		}
		outside := 0
		for _, pid := range pids {
			if isInside(pid, inside) {
				continue
			}
			err := j.main.write("cgroup.procs", strconv.Itoa(pid))
			switch {
			case errors.Is(err, unix.ESRCH): // gone
			case err == nil && isExiting(pid): // left where it was, without an error; its live threads are moved
			case err == nil || errors.Is(err, unix.EINVAL): // EINVAL: it is being forked; the next pass will tell
				outside++
			default:
				return err
			}
		}
		if outside == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: processes are still outside after %d passes", j.node.path, adoptPasses)
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
	b, err := readFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	own, ok := parseSelf(b)
	return !ok || own == leaf || strings.HasPrefix(own, leaf+"/")
}
