package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A Limit is one value for one interface file of a job node (cgroup-v2.rst,
// "Controllers").
type Limit struct {
	Flag       string // the name as given: "memory-max", "MemoryMax", or a place in an OCI document: "memory.limit"
	Given      string // the value as given: "1G"; "" for a place in a document
	Controller string // that has the file: "memory"; "" for a file that every cgroup has
	File       string // "memory.max"
	Value      string // as the kernel takes it: "1073741824"
	Implied    bool   // by another limit: it is no error if the kernel lacks the file
}

// Name returns the limit as the user wrote it: "--memory-max 1G" for a flag,
// "MemoryMax=1G" for a property of systemd, and "memory.limit" for a place in a
// document, which alone has a dot or a bracket. Messages and records name limits so.
func (l Limit) Name() string {
	switch {
	case strings.ContainsAny(l.Flag, ".["):
		return l.Flag
	case isProperty(l.Flag):
		return l.Flag + "=" + l.Given
	}
	return "--" + l.Flag + " " + l.Given
}

// String returns the name.
func (l Limit) String() string { return l.Name() }

// implies returns a limit that follows from this one, and goes by its name.
func (l Limit) implies(file, value string) Limit {
	return Limit{Flag: l.Flag, Given: l.Given, Controller: l.Controller, File: file, Value: value, Implied: true}
}

// Limits are written in an order of their own; of two values for one file the
// latter counts.
type Limits []Limit

// Complete adds the implied limits. If memory is limited and no limit of swap was given,
// memory.swap.max is 0: otherwise a job would swap instead of meeting its limit. If
// memory.max is limited, memory.oom.group is 1 unless given: the rest of a job is of no use
// after an OOM kill of a part.
func (l Limits) Complete() Limits {
	cause, hard := l.limits("memory.max")
	limited := hard
	if !hard {
		cause, limited = l.limits("memory.high")
	}
	all := slices.Clone(l)
	if limited && !l.has("memory.swap.max") {
		all = append(all, cause.implies("memory.swap.max", "0"))
	}
	if hard && !l.has("memory.oom.group") {
		all = append(all, cause.implies("memory.oom.group", "1"))
	}
	return all
}

// limits returns the limit that counts for a file, and whether it is one.
func (l Limits) limits(file string) (Limit, bool) {
	for _, one := range slices.Backward(l) {
		if one.File == file {
			return one, one.Value != noLimit
		}
	}
	return Limit{}, false
}

func (l Limits) has(file string) bool {
	return slices.ContainsFunc(l, func(one Limit) bool { return one.File == file })
}

// lateFiles are written last, in this order. A running job whose memory is being limited is
// then throttled and reclaimed from (high) before it can be OOM-killed (max), does not escape
// into swap, and is killed as a whole.
var lateFiles = []string{"memory.oom.group", "memory.swap.max", "memory.min", "memory.low", "memory.high", "memory.max"}

// ordered returns the order of writing.
func (l Limits) ordered() Limits {
	all := slices.Clone(l)
	slices.SortStableFunc(all, func(a, b Limit) int {
		return slices.Index(lateFiles, a.File) - slices.Index(lateFiles, b.File)
	})
	return all
}

// Limit writes limits to the job node; the session must have claimed its root (see
// [Session.Claim]). It can also change the limits of a running job. If memory.max is lowered
// below the use, the kernel reclaims, and if that does not suffice it OOM-kills, before Limit
// returns.
//
// The error is a [LimitErrors], of all that could not be set; the others are set.
// A caller that needs all of them closes the job.
func (j *Job) Limit(l Limits) error {
	var failed LimitErrors
	done := l.ordered()
	for i, one := range done {
		if err := j.limit(one); err != nil {
			failed = append(failed, LimitError{one, err})
			done[i].File = ""
		}
	}
	j.remember(done)
	if failed == nil {
		return nil
	}
	return failed
}

func (j *Job) limit(one Limit) error {
	err := j.node.write(one.File, one.Value)
	if err == nil {
		return j.holds(one)
	}
	if !errors.Is(err, errNoFile) {
		if isCPUSet(one) { // a number that no CPU or node can have: ERANGE
			if b, e := j.node.read(one.File + ".effective"); e == nil {
				err = fmt.Errorf("%w: there are %s", err, bytes.TrimSpace(b))
			}
		}
		return &ValueError{one, j.node.join(one.File), err}
	}
	if one.Implied && !(one.File == "memory.swap.max" && hasSwap()) {
		return nil
	}
	return j.lacks(one)
}

// holds checks that a list of CPUs or memory nodes confines the job. If the cgroup above has
// none of the list, the kernel takes the value and lets the job use all CPUs or nodes
// (cgroup-v2.rst, "cpuset.cpus.effective").
func (j *Job) holds(one Limit) error {
	if !isCPUSet(one) {
		return nil
	}
	b, err := j.node.read(one.File + ".effective")
	if err != nil {
		return &ValueError{one, j.node.join(one.File), err}
	}
	wanted, err1 := proc.ParseCPUList(one.Value)
	effective, err2 := proc.ParseCPUList(string(b))
	if err1 != nil || err2 != nil || wanted.Covers(effective) {
		return nil
	}
	return &ValueError{one, j.node.join(one.File), errors.New("the cgroup above has none of these, only " + effective.String())}
}

func isCPUSet(one Limit) bool { return one.File == "cpuset.cpus" || one.File == "cpuset.mems" }

// hasSwap says whether the machine can swap at all: /proc/swaps has a line below its
// heading.
func hasSwap() bool {
	b, err := readFile("/proc/swaps")
	return err == nil && countLines(b) > 1
}

func countLines(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}
