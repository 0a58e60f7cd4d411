package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const mainLeaf = "main"

// A Job is one job's cgroup: an inner node, which has the limits, the accounting and
// cgroup.kill, and below it the leaf, in which the processes are born. It belongs to one
// goroutine.
type Job struct {
	node *dir
	main *dir // closed after Start until leaf reopens it: a running job costs three descriptors, or one (HoldBelow)
	name string
	s    *Session
	set  []setLimit // see Changed

	emptied time.Time // when it was seen to be
}

// NewJob makes a job's cgroup. The directory is called by the job's name, with unsafe
// characters replaced. If the name is taken, a number is added. It starts at the number of
// jobs made: 10,000 jobs of one name then do not try 10,000 numbers each.
func (s *Session) NewJob(name string) (*Job, error) {
	dirName := fileName(name)
	node, err := s.mkdir(dirName)
	s.made++
	for i := s.made; errors.Is(err, fs.ErrExist) && i < s.made+1e6; i++ {
		dirName = fileName(name) + "-" + strconv.Itoa(i)
		node, err = s.mkdir(dirName)
	}
	if err != nil {
		return nil, err
	}
	j := &Job{node: node, name: dirName, s: s}
	if s.below == 0 || node.fd < s.below {
		err = node.hold()
	}
	if err = errors.Join(err, node.mark(xattrJob, name)); err == nil {
		j.main, err = node.mkdir(mainLeaf)
	}
	if err != nil {
		node.close()
		s.removeTree(dirName)
		return nil, err
	}
	return j, nil
}

// fileName makes a directory name of a job name. It replaces dots: a name with one could
// clash with an interface file (memory.max).
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

// Delegate hands the job node's controllers down to the leaf, so that the job's processes can
// enable them for sub-cgroups of their own. Call it before Start. The leaf hands nothing
// down yet: enabling a controller there is left to the job.
func (j *Job) Delegate() error {
	_, err := j.node.enable()
	return err
}

// Path returns the path of the job node in the file system.
func (j *Job) Path() string { return j.node.path }

// leaf returns the directory of the leaf, open.
func (j *Job) leaf() (*dir, error) {
	if j.main.fd >= 0 {
		return j.main, nil
	}
	d, err := j.node.child(mainLeaf)
	if err == nil {
		j.main = d
	}
	return j.main, err
}

// Empty reports whether no live process is left; zombies do not count
// (cgroup.events, "populated"). A cgroup that another program has removed is empty, since the
// kernel refuses to remove one that is not.
func (j *Job) Empty() (bool, error) {
	empty, err := j.s.isOver(), error(nil)
	if !empty {
		empty, err = j.node.empty()
	}
	if empty {
		j.emptied = time.Now()
	}
	return empty, err
}

func (d *dir) empty() (bool, error) {
	populated, err := d.populated()
	if errors.Is(err, unix.ENODEV) || d.forced && errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && populated == 0, err
}

func (d *dir) populated() (uint64, error) {
	if d.eventsFile > 0 {
		return d.keyedIn(d.eventsFile, "cgroup.events", "populated")
	}
	return d.keyed("cgroup.events", "populated")
}

// CPU returns the job's user and system time so far, in microseconds (cpu.stat, which does
// not need the cpu controller).
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

// Memory returns what the job has now, in bytes, and its limit (memory.current, memory.max):
// nil without the memory controller, and for no limit.
func (j *Job) Memory() (current, limit *uint64) {
	for file, to := range map[string]**uint64{"memory.current": &current, "memory.max": &limit} {
		if b, err := j.node.read(file); err == nil {
			*to = parseNumber(b)
		}
	}
	return current, limit
}

// Procs returns the pids of the live processes in the whole tree.
func (j *Job) Procs() ([]int, error) { return j.node.procs() }

// Close removes the job's cgroup, which must be empty, with all sub-cgroups that the job
// made.
func (j *Job) Close() error {
	r, err := j.Remove()
	if r != nil {
		err = r.finish()
		r.Close()
	}
	return err
}

// Remove is Close without waiting. What is not gone at once is left to the Removal; nil: it
// is gone.
func (j *Job) Remove() (*Removal, error) {
	j.s.gone++
	j.main.close()
	defer j.node.close()
	if j.s.left {
		return nil, nil
	}
	j.node.rmdir(mainLeaf) // its error is told by the next one
	if err := j.s.rmdir(j.name); !isBusy(err) {
		return nil, err
	}
	return j.s.removal(j.name), nil
}
