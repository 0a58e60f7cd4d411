package cgroup

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// LimitErrors are the limits that could not be set: the error of [Job.Limit].
type LimitErrors []LimitError

// Error has a line for each.
func (e LimitErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each.
func (e LimitErrors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// A LimitError is one limit that could not be set. Err is a *ControllerError or a
// *ValueError, and its text names the limit.
type LimitError struct {
	Limit Limit
	Err   error
}

func (e LimitError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e LimitError) Unwrap() error { return e.Err }

// A ControllerError says that the job was not given the controller that has the file.
type ControllerError struct {
	Limit      Limit
	Controller string
	Ancestor   string // the directory at which it stops: the lowest that has it, or the root of the mount if none has
	Reason     string // why, as a sentence about Ancestor: "holds processes of its own"
	Fix        string // what to do, in one line; may be ""
}

func (e *ControllerError) Error() string {
	text := fmt.Sprintf("%s: no %s controller here: %s %s", e.Limit, e.Controller, e.Ancestor, e.Reason)
	if e.Fix != "" {
		text += ": " + e.Fix
	}
	return text
}

// A ValueError says that the kernel refused a value, or has no such file, for which
// errors.Is knows errors.ErrUnsupported.
type ValueError struct {
	Limit Limit
	Path  string // the file
	Err   error  // names the file and the value, and has the errno
}

func (e *ValueError) Error() string {
	text := fmt.Sprintf("%s: %v", e.Limit, e.Err)
	if m := meaning(e.Err); m != "" {
		text += ": " + m
	}
	return text
}

// Unwrap returns Err.
func (e *ValueError) Unwrap() error { return e.Err }

// meanings are those of a write to a cgroup file.
var meanings = []struct {
	errno unix.Errno
	text  string
}{
	{unix.EINVAL, "the kernel does not take this value"},
	{unix.ERANGE, "the value is out of the kernel's range"},
	{unix.ENODEV, "there is no such device, or it is no whole disk"},
	{unix.EBUSY, "something in the cgroup is in the way"},
	{unix.ENOSPC, "nothing would be left to run on"},
	{unix.EACCES, "the file is not ours to write"},
	{unix.EPERM, "the file is not ours to write"},
	{unix.EOPNOTSUPP, "the kernel cannot do that here"},
}

func meaning(err error) string {
	for _, m := range meanings {
		if errors.Is(err, m.errno) {
			return m.text
		}
	}
	return ""
}

// errNoFile is the kernel's answer for a file that a cgroup does not have.
const errNoFile = unix.ENOENT

// lacks explains a missing file. If the job has the controller, the kernel is too old for the
// file, or was built or booted without it. Otherwise the job was not given the controller.
func (j *Job) lacks(one Limit) error {
	path := j.node.join(one.File)
	unsupported := &ValueError{one, path, fmt.Errorf("the kernel has no %s: %w", path, errors.ErrUnsupported)}
	if one.Controller == "" {
		return unsupported
	}
	v := j.ancestry()
	if _, why := v.Stops(one.Controller); why == NoBarrier {
		return unsupported
	}
	e := &ControllerError{Limit: one, Controller: one.Controller}
	e.Ancestor, e.Reason, e.Fix = v.explain(one.Controller)
	return e
}
