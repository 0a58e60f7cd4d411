package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A setLimit is a limit that was written, and what the kernel showed then: it rounds memory
// to pages, and fills in what a value leaves out.
type setLimit struct {
	limit Limit
	shown string
}

// remember notes what the kernel shows of the limits that were just written; one without a
// file was not. It is read when all are written, as one file may change what another shows
// (cpu.idle, cpu.weight). A file that cannot be read is one to be written only.
func (j *Job) remember(written Limits) {
	for _, one := range written {
		if one.File == "" {
			continue
		}
		j.set = slices.DeleteFunc(j.set, func(s setLimit) bool { return s.limit.File == one.File })
		if text, err := j.node.read(one.File); err == nil {
			j.set = append(j.set, setLimit{one, oneLine(text)})
		}
	}
}

// A ChangedLimit is one that the job, or another program, has changed since it was set by
// [Job.Limit]; it is an error by what it says.
type ChangedLimit struct {
	Limit Limit
	Was   string // as the kernel showed it
	Is    string // "" if Err says why that is not known
	Err   error
}

func (c *ChangedLimit) Error() string {
	if c.Err != nil {
		return fmt.Sprintf("%s was set to %q, and cannot be read at the end: %v", c.Limit.File, c.Was, c.Err)
	}
	return fmt.Sprintf("%s was set to %q, and is %q at the end: the job, or another program, has changed it", c.Limit.File, c.Was, c.Is)
}

// Changed compares the limits with what the kernel shows now. One that was changed and put
// back is not noticed. Call it before Close.
func (j *Job) Changed() (changed []*ChangedLimit) {
	for _, s := range j.set {
		text, err := j.node.read(s.limit.File)
		if errors.Is(err, errNoFile) || errors.Is(err, unix.ENODEV) {
			continue // systemd, which ends the unit around, has removed the directory
		}
		if is := oneLine(text); err != nil || is != s.shown {
			changed = append(changed, &ChangedLimit{Limit: s.limit, Was: s.shown, Is: is, Err: err})
		}
	}
	return changed
}

// oneLine has a semicolon between lines: io.max has one for each device.
func oneLine(text []byte) string {
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; ")
}
