package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Feature is a facility that some kernels, containers or filters do not offer.
type Feature struct {
	Name   string
	Answer Answer
	Detail string // why it is missing, unknown, or of no use here; may be ""
}

// An Answer is yes, no, or that there was no way to find out.
type Answer int

const (
	Unknown Answer = iota
	No
	Yes
)

// Features tests every feature. It tries them in the job, which the caller can only close
// afterwards. Without a job (nil) it checks for the files of the visible cgroups. It never
// asks for the kernel's version: distributions backport features, and seccomp filters
// forbid them.
func (v *View) Features(j *Job) []Feature {
	dirs := v.open(j)
	defer closeAll(dirs)
	probes := probes()
	list := make([]Feature, len(probes))
	for i, p := range probes {
		list[i].Name = p.name
		list[i].Answer, list[i].Detail = p.check(dirs)
	}
	for i, p := range probes { // last, since no process can be born in a cgroup after cgroup.kill
		if p.try == nil || j == nil || list[i].Answer != Yes {
			continue
		}
		if err := p.try(j); err != nil {
			list[i].Answer, list[i].Detail = No, "trying it: "+err.Error()
		}
	}
	return list
}

// A probe tests one feature: by its files, then by using it.
type probe struct {
	name  string
	check check
	try   func(j *Job) error // uses it; nil: the check is enough
}

// A check is given directories, the lowest first: it has the most files.
type check func(dirs []*dir) (Answer, string)

// probes is the list of features, built here and not when the program starts.
func probes() []probe {
	return []probe{
		{"cgroup.kill", hasFile("cgroup.kill", "cgroup.events"), (*Job).tryKill},
		{"CLONE_INTO_CGROUP", clones, nil},
		{"freezer", hasFile("cgroup.freeze", "cgroup.events"), (*Job).tryFreeze},
		{"memory.peak", hasFile("memory.peak", "memory.current"), nil},
		{"pids.peak", hasFile("pids.peak", "pids.current"), nil},
		{"cpu.pressure", readable("cpu.pressure"), nil},
		{"memory.pressure", readable("memory.pressure"), nil},
		{"io.pressure", readable("io.pressure"), nil},
	}
}

// open opens the job's leaf and the ancestors, ours first.
func (v *View) open(j *Job) []*dir {
	var dirs []*dir
	if j != nil {
		if fd, err := unix.FcntlInt(uintptr(j.main.fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			dirs = append(dirs, &dir{fd: fd, path: j.main.path})
		}
	}
	for i := len(v.Ancestors) - 1; i >= 0; i-- {
		if d, err := openDir(v.Ancestors[i].Path); err == nil {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func closeAll(dirs []*dir) {
	for _, d := range dirs {
		d.close()
	}
}

// hasFile checks for a file beside an older companion file, which shows that the kernel would
// have put it there: the root of the hierarchy has few files, and a cgroup without a
// controller has none of that controller.
func hasFile(name, companion string) check {
	return func(dirs []*dir) (Answer, string) {
		for _, d := range dirs {
			switch {
			case d.has(name):
				return Yes, ""
			case d.has(companion):
				return No, "no such file in " + d.path
			}
		}
		return Unknown, "no cgroup in sight would have it"
	}
}

func (d *dir) has(name string) bool {
	return unix.Faccessat(d.fd, name, unix.F_OK, 0) == nil
}

// readable reads a file of pressure stall information. A kernel built without PSI has no such
// file; with psi=0 opening it fails with EOPNOTSUPP.
func readable(name string) check {
	return func(dirs []*dir) (Answer, string) {
		if len(dirs) == 0 {
			return Unknown, "no cgroup in sight"
		}
		b, err := dirs[0].read(name)
		switch {
		case err == nil && len(b) > 0:
			return Yes, ""
		case err == nil:
			return No, "it is empty"
		case errors.Is(err, fs.ErrPermission):
			return Unknown, err.Error()
		}
		return No, err.Error()
	}
}

// clones starts a child in the first directory, with a program that does not exist: ENOENT from
// execve proves that the child was born there.
func clones(dirs []*dir) (Answer, string) {
	if len(dirs) == 0 {
		return Unknown, "no cgroup in sight"
	}
	attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: dirs[0].fd}}
	pid, err := syscall.ForkExec("", []string{joinName}, attr)
	if err == nil {
		unix.Wait4(pid, nil, 0, nil)
	}
	return birth(err)
}

// birth interprets the error of clone3, or of the child's execve.
func birth(err error) (Answer, string) {
	switch err {
	case syscall.ENOENT:
		return Yes, ""
	case nil:
		return No, "the child was killed at birth, because our own cgroup was once killed"
	case syscall.EACCES, syscall.EBUSY, syscall.EOPNOTSUPP:
		return Yes, fmt.Sprintf("but not where we are: %v", err)
	case syscall.ENOSYS, syscall.EPERM:
		return No, fmt.Sprintf("clone3: %v: an old kernel, or a seccomp filter", err)
	case syscall.EINVAL, syscall.E2BIG:
		return No, fmt.Sprintf("clone3: %v: an old kernel", err)
	}
	return Unknown, err.Error()
}

// tryFreeze freezes the job, which is empty and therefore frozen at once.
func (j *Job) tryFreeze() error {
	if err := j.main.write("cgroup.freeze", "1"); err != nil {
		return err
	}
	frozen, err := j.main.keyed("cgroup.events", "frozen")
	if err == nil && frozen != 1 {
		err = errors.New("an empty cgroup did not freeze")
	}
	return errors.Join(err, j.main.write("cgroup.freeze", "0"))
}

// tryKill kills the job.
func (j *Job) tryKill() error { return j.node.write("cgroup.kill", "1") }
