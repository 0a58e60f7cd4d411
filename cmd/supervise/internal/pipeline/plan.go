// Package pipeline is the main process of a job that has several commands: it starts each
// with the output of the one before as input, waits for all of them, and ends as the last
// one that has failed.
//
//	         plan ──> ┌────────────┐ ──> statuses
//	the server        │ supervise  │
//	     signals ───> │  pipeline  │ ───> signals, to all
//	                  └─┬────┬────┬┘
//	        stdin ──> zcat ─> sort ─> uniq ──> stdout
//
// It is a process of the job's like any other: in its cgroup, or below its subreaper.
package pipeline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A Command is one of the pipeline, found already. Env is all of its environment.
type Command struct {
	Path string
	Argv []string
	Dir  string // "": that of the main process
	Env  []string
}

// Argv returns the arguments by which the main process is started. It has the job's
// descriptors below fd, the plan at fd, and the statuses' pipe behind that.
func Argv(fd int) []string { return []string{"supervise", "pipeline", strconv.Itoa(fd)} }

// A plan is the commands as they are written: a string that several have, of their
// environments say, is there once, and stands in the lists by its index.
type plan struct {
	Strings  protocol.Texts
	Commands []indexed
}

type indexed struct {
	Path, Dir int
	Argv, Env []int
}

// newPlan makes a plan.
func newPlan(commands []Command) *plan {
	p, known := &plan{}, map[string]int{}
	index := func(s string) int {
		i, ok := known[s]
		if !ok {
			i = len(p.Strings)
			known[s], p.Strings = i, append(p.Strings, s)
		}
		return i
	}
	all := func(list []string) []int {
		indexes := make([]int, len(list))
		for i, s := range list {
			indexes[i] = index(s)
		}
		return indexes
	}
	for _, c := range commands {
		p.Commands = append(p.Commands, indexed{index(c.Path), index(c.Dir), all(c.Argv), all(c.Env)})
	}
	return p
}

// commands are those of the plan; an error is a plan that was not written by newPlan.
func (p *plan) commands() (commands []Command, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("an index is out of range")
		}
	}()
	all := func(indexes []int) []string {
		list := make([]string, len(indexes))
		for i, n := range indexes {
			list[i] = p.Strings[n]
		}
		return list
	}
	for _, c := range p.Commands {
		commands = append(commands, Command{p.Strings[c.Path], all(c.Argv), p.Strings[c.Dir], all(c.Env)})
	}
	return commands, nil
}

// Write writes a plan into a file that has no name (memfd_create(2)), whose descriptor is the
// caller's.
func Write(commands []Command) (fd int, err error) {
	text, err := json.Marshal(newPlan(commands))
	if err != nil {
		return -1, err
	}
	fd, err = unix.MemfdCreate("pipeline", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	for done := 0; done < len(text); {
		n, err := unix.Pwrite(fd, text[done:], int64(done))
		if err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("pwrite", err)
		}
		done += n
	}
	return fd, nil
}

// read reads a plan.
func read(fd int) (commands []Command, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	text := make([]byte, st.Size)
	for done := 0; done < len(text); {
		n, err := unix.Pread(fd, text[done:], int64(done))
		if err != nil || n == 0 {
			return nil, os.NewSyscallError("pread", err)
		}
		done += n
	}
	var p plan
	if err = json.Unmarshal(text, &p); err == nil {
		commands, err = p.commands()
	}
	if err != nil || len(commands) == 0 {
		return nil, fmt.Errorf("the plan of a pipeline: %w", cmp.Or(err, errors.New("no commands")))
	}
	return commands, nil
}

// A Status is how a command has ended, or why it was not started.
type Status struct {
	Index int
	PID   int // 0: it was not started
	Exit  *protocol.Exit
}

// Ends reads the statuses of a pipeline of so many commands. Those of which nothing is known
// were killed with the main process.
func Ends(text []byte, commands int) []protocol.CommandEnd {
	ends := make([]protocol.CommandEnd, commands)
	for len(text) > 0 {
		var s Status
		line, rest, _ := cutLine(text)
		text = rest
		if json.Unmarshal(line, &s) != nil || s.Index < 0 || s.Index >= commands {
			continue // the job may have written it
		}
		if s.PID > 0 {
			ends[s.Index].PID = new(s.PID)
		}
		if s.Exit != nil {
			ends[s.Index].Exit = s.Exit
		}
	}
	return ends
}
