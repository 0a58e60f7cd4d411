package subreaper

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A process is the part of /proc/PID/stat that makes it known, pid and start time
// together, and tells whether it can fork. It is comparable, for maps of those that were
// seen.
type process struct {
	pid, parent int
	state       byte   // of proc.Stat
	dead        bool   // no thread of it is left: a zombie leader may have live threads
	start       uint64 // clock ticks since boot: tells one bearer of a pid from the next
}

// settled says that a process sent SIGSTOP will not fork: it is stopped, or in
// the kernel for longer (a parent in vfork(2)), with the signal before it.
func (p process) settled() bool { return p.state != 'R' && p.state != 'S' }

// readProcess reads the stat of a process; ESRCH or ENOENT if it has gone.
func readProcess(pid int) (process, error) {
	s, err := proc.ReadStat(pid)
	return process{s.PID, s.Parent, s.State, s.Ended(), s.Start}, err
}

// live returns the live descendants. One look finds them, or misses a process
// whose parent ends meanwhile; only to find none takes more: see each.
func (t *Tree) live() (found []process, err error) {
	err = t.each(func(live []process) (bool, error) {
		found = append(found, live...)
		return false, nil
	}, func() bool { return len(found) > 0 })
	return found, err
}

// look returns the descendants, living and zombies, or the bearers of the mark.
// Zombies that are known to be our children need not be looked at again. Whole is
// false where there are so many new ones that it is better to begin anew, if they can be reaped.
func (t *Tree) look(zombies map[int]process, reaps bool) (found []process, whole bool, err error) {
	if t.mark != 0 {
		found, err = t.mark.bearers()
		return found, true, err
	}
	below, err := childLists()
	if err != nil {
		return nil, false, err
	}
	ended := 0
	seen := map[int]bool{}
	todo := t.start(below)
	for len(todo) > 0 {
		pid := todo[0]
		todo = todo[1:]
		if seen[pid] || t.spares(pid) {
			continue
		}
		seen[pid] = true
		p, known := zombies[pid]
		if !known {
			if p, err = readProcess(pid); err == unix.EMFILE || err == unix.ENFILE {
				return nil, false, fmt.Errorf("looking for descendants: %w", err)
			} else if err != nil {
				continue // gone: its children are to be found elsewhere by the next look
			}
		}
		found = append(found, p)
		if !known {
			todo = append(todo, below(pid)...) // a zombie leader may have live threads with children
		}
		if !known && p.dead {
			if ended++; ended > maxEnded && reaps {
				return found, false, nil
			}
		}
	}
	return found, true, nil
}

// maxEnded is how many new zombies a look puts up with before it has them reaped and
// begins anew: each makes the list of children longer, and the look slower. It is a variable
// for the tests, as maxGrown is.
var maxEnded = 256

// eachLimit and maxGrown bound each, should a job fork faster than it can be looked at:
// in looks, and in zombies that were not there in the first whole look, which are not reaped
// meanwhile and which make each look slower than the last, until no pid is left.
const eachLimit = 200

var maxGrown = 4000

// errTooFast says that each found no end.
var errTooFast = errors.New("processes come and go faster than they can be looked at")

// each has the live descendants visited, look after look, until one finds exactly
// what the one before has found and the visit did nothing. A lineage in which
// each process leaves a child and ends is in none of its members for long, and
// every look may miss it; but each member leaves a zombie with us, which stays or
// counts as reaped, and so no two looks are the same. Enough, if not nil, ends it
// after a look.
func (t *Tree) each(visit func(live []process) (acted bool, err error), enough func() bool) error {
	last := map[process]bool{}
	zombies := map[int]process{}
	most := -1 // zombies; not known before the first whole look
	for range eachLimit {
		reaped := 0
		if !t.keeps {
			reaped = t.reap()
		}
		reaps := t.Reap != nil && (reaped > 0 || len(zombies) == 0) // else an owner does not take their statuses
		if reaped > 0 {
			zombies = map[int]process{} // a number may be another's now
		}
		all, whole, err := t.look(zombies, reaps)
		if err != nil {
			return err
		}
		changed := len(all) != len(last) || reaped > 0 || !whole
		now := make(map[process]bool, len(all))
		live := make([]process, 0, len(all))
		for _, p := range all {
			id := process{pid: p.pid, start: p.start}
			switch {
			case p.dead && t.reaps(p.parent):
				id.state = 'Z'
				zombies[p.pid] = p
			case !p.dead:
				live = append(live, p)
			}
			now[id] = true
			changed = changed || !last[id]
		}
		acted, err := visit(live)
		if err != nil {
			return err
		}
		changed = changed || acted
		if !changed || enough != nil && enough() {
			return nil
		}
		if whole && most < 0 {
			most = len(zombies) + maxGrown
		}
		if most >= 0 && len(zombies) > most {
			break
		}
		last = now
	}
	return errTooFast
}

// Each has the pids of all live descendants visited until there is nothing more to do: visit
// says whether it did anything. Of children the oldest come first. Nothing may reap meanwhile.
func (t *Tree) Each(visit func(pids []int) (acted bool, err error)) error {
	t.keeps = true
	defer func() { t.keeps = false }()
	return t.each(func(live []process) (bool, error) {
		slices.Reverse(live) // see start
		return visit(pidsOf(live))
	}, nil)
}

func pidsOf(procs []process) []int {
	pids := make([]int, len(procs))
	for i, p := range procs {
		pids[i] = p.pid
	}
	return pids
}

// childLists returns a function that lists the children of a process: from
// /proc/PID/task/*/children (CONFIG_PROC_CHILDREN) or else from one reading of
// every /proc/PID/stat.
func childLists() (func(pid int) []int, error) {
	fd, err := unix.Open("/proc/self/task/"+strconv.Itoa(os.Getpid())+"/children", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
		unix.Close(fd)
		return Children, nil
	case unix.EMFILE, unix.ENFILE: // what cannot be looked for is not called gone
		return nil, fmt.Errorf("looking for descendants: %w", err)
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, fmt.Errorf("looking for descendants: %w", err)
	}
	return scan()
}

// Children returns the pids of the children of a process, zombies too, from
// /proc/PID/task/*/children (CONFIG_PROC_CHILDREN); none if it cannot be read.
func Children(pid int) (pids []int) {
	names, err := proc.Names("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil && len(names) == 0 {
		names = []string{strconv.Itoa(pid)} // the first thread is better than none
	}
	for _, tid := range names {
		b, _ := proc.Read(pid, "task/"+tid+"/children", 0)
		for f := range bytes.FieldsSeq(b) {
			if n, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// firstChildren is Children for the first thread alone, into the caller's buffer: one
// file instead of a directory and several. Children of other threads are found by each,
// later.
func firstChildren(pid int, buf []byte) (pids []int) {
	p := strconv.Itoa(pid)
	fd, err := unix.Open("/proc/"+p+"/task/"+p+"/children", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	n, _ := unix.Read(fd, buf)
	unix.Close(fd)
	for f := range bytes.FieldsSeq(buf[:max(n, 0)]) {
		if n, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// scan is childLists without CONFIG_PROC_CHILDREN: one reading of all of /proc answers
// for every process, so that a walk does not read it anew for each.
func scan() (func(pid int) []int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	lists := map[int][]int{}
	for _, p := range all {
		lists[p.parent] = append(lists[p.parent], p.pid)
	}
	return func(pid int) []int { return lists[pid] }, nil
}

// processes reads the stat of every process there is. One that ends meanwhile is left
// out, and its end may make the directory's reading fail with ENOENT or ESRCH.
func processes() (all []process, err error) {
	names, err := proc.Names("/proc")
	if names == nil && err != nil {
		return nil, err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil {
			all = append(all, p)
		}
	}
	return all, nil
}
