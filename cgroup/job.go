package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const mainLeaf = "main"

// A Job is one job's cgroup: an inner node, which carries limits, accounting and
// cgroup.kill, and below it the leaf in which the processes are born. It belongs
// to one goroutine.
type Job struct {
	node *dir
	main *dir
	name string
	s    *Session

	events int // cgroup.events, open from the first look on; 0: not yet
}

// NewJob makes a job's cgroup. Name becomes the directory's name, with the
// characters that would be awkward there replaced, and a number added if it is
// taken.
func (s *Session) NewJob(name string) (*Job, error) {
	dirName := fileName(name)
	node, err := s.mkdir(dirName)
	for i := 2; errors.Is(err, fs.ErrExist) && i < 1e6; i++ {
		dirName = fileName(name) + "-" + strconv.Itoa(i)
		node, err = s.mkdir(dirName)
	}
	if err != nil {
		return nil, err
	}
	j := &Job{node: node, name: dirName, s: s}
	if err = node.mark(xattrJob, name); err == nil {
		j.main, err = node.mkdir(mainLeaf)
	}
	if err != nil {
		node.close()
		s.removeTree(dirName)
		return nil, err
	}
	return j, nil
}

// fileName makes a directory name of a job name. A dot first or a dot before
// the end could be taken for, or clash with, an interface file (memory.max).
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_@+", r) {
			return r
		}
		return '_'
	}, name)
	if clean == "" {
		clean = "job"
	}
	return clean[:min(len(clean), 64)]
}

// Name returns the name of the job node, unique in its session.
func (j *Job) Name() string { return j.name }

// Delegate gives the job's processes the controllers that the job node has, for
// sub-cgroups of their own. Call it before Start: the cgroup that they are born in
// stays a leaf, and a controller below it is the job's to enable.
func (j *Job) Delegate() error {
	_, err := j.node.enable()
	return err
}

// Path returns the path of the job node in the file system.
func (j *Job) Path() string { return j.node.path }

// Empty reports whether no live process is left; zombies do not count
// (cgroup.events, "populated").
func (j *Job) Empty() (bool, error) {
	const name = "cgroup.events"
	if j.events == 0 {
		fd, err := j.node.open(name, unix.O_RDONLY)
		if err != nil {
			return false, err
		}
		j.events = fd
	}
	b, err := readAll(j.events)
	if err != nil {
		return false, j.node.fail("read", name, err)
	}
	populated, ok := lookup(b, "populated")
	if !ok {
		return false, fmt.Errorf("%s has no \"populated\": %w", j.node.join(name), errors.ErrUnsupported)
	}
	return populated == 0, nil
}

// CPU returns what the job has used so far, in microseconds of user and system
// time (cpu.stat, which is there without the cpu controller).
func (j *Job) CPU() (user, system uint64, err error) {
	b, err := j.node.read("cpu.stat")
	if err != nil {
		return 0, 0, err
	}
	user, ok1 := lookup(b, "user_usec")
	system, ok2 := lookup(b, "system_usec")
	if !ok1 || !ok2 {
		return 0, 0, fmt.Errorf("%s lacks user_usec or system_usec: %w", j.node.join("cpu.stat"), errors.ErrUnsupported)
	}
	return user, system, nil
}

// Procs returns the pids of the live processes in the whole tree.
func (j *Job) Procs() ([]int, error) { return j.node.procs() }

// Close removes the job's cgroup, which must be empty, with whatever sub-cgroups
// the job made.
func (j *Job) Close() error {
	j.main.close()
	if j.events > 0 {
		unix.Close(j.events)
	}
	err := j.node.removeTree(mainLeaf)
	err = errors.Join(err, j.s.removeTree(j.name))
	j.node.close()
	return err
}
