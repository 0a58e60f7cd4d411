package subreaper

import (
	"bytes"
	"runtime"
	"strconv"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// Bounds of a fork bomb: descendants, runnable processes for each processor, and walks to
// stop it.
const (
	bombSize  = 64
	bombShare = 8
	bombWalks = 20
)

// Still stops every descendant, and returns a function that continues those that were not
// stopped before; where there is no fork bomb, as far as that is to be seen, both do
// nothing. A bomb leaves this process a hundredth of the processor, or less. And to move a
// process to another cgroup, the kernel waits for every fork that has begun: to move 200
// that fork took 10 s and more. Nothing may reap in between. Each step waits for the processor,
// half a second in all: what is about to be killed is left stopped (see Over).
func (t *Tree) Still() (goOnAll func()) {
	if t.still || !t.isBomb() {
		return func() {}
	}
	return t.stopAll()
}

func (t *Tree) stopAll() (goOnAll func()) {
	t.still = true
	var stopped []int
	r := newRushing(t)
	r.leave = func(pid int) bool {
		if t.isOver() {
			return false
		}
		p, err := readProcess(pid)
		if err != nil || p.dead || p.state == 'T' {
			return true
		}
		stopped = append(stopped, pid)
		return false
	}
	for n := 0; n < bombWalks && r.walk(); n++ {
	}
	return func() {
		t.still = false
		for _, pid := range stopped {
			if t.isOver() {
				return
			}
			t.goOn(pid)
		}
	}
}

func (t *Tree) isOver() bool { return t.Over != nil && t.Over() }

// isBomb says whether there are many descendants, and many runnable processes. It takes
// little time of its own.
func (t *Tree) isBomb() bool {
	if runnable() < bombShare*runtime.NumCPU() {
		return false
	}
	n, buf := 0, make([]byte, 32<<10)
	for todo := t.children(Children); len(todo) > 0 && n < bombSize; n++ {
		pid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !t.spares(pid) {
			todo = append(todo, firstChildren(pid, buf)...)
		}
	}
	return n >= bombSize
}

// runnable is how many processes and threads of the machine want a processor now (proc(5),
// the fourth field of /proc/loadavg); 0 if that is not known.
func runnable() int {
	b, _ := proc.ReadFile("/proc/loadavg", 0)
	if fields := bytes.Fields(b); len(fields) > 3 {
		now, _, _ := bytes.Cut(fields[3], []byte("/"))
		n, _ := strconv.Atoi(string(now))
		return n
	}
	return 0
}
