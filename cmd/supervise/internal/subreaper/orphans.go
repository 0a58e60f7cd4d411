package subreaper

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// Orphans are the processes below this one whose parent has ended, and of which jobs they
// are, by their marks. The kernel gives an orphan to the first thread of a subreaper, and
// /proc lists the children of each thread apart. So this is for a process in which another
// thread forks all else: with ten thousand jobs the list of the first is as short as with
// one. It belongs to one goroutine. The zero value is ready for use.
type Orphans struct {
	marks map[int]Mark // of those that were looked at, until Forget
	last  []int
	read  time.Time     // last was
	took  time.Duration // to read it
}

// Of returns the orphans that bear a mark but for some that are known, the dead included.
func (o *Orphans) Of(mark Mark, but []int) (found []int) {
	known := make(map[int]bool, len(but))
	for _, pid := range but {
		known[pid] = true
	}
	for _, pid := range o.list() {
		if !known[pid] && o.Mark(pid) == mark {
			found = append(found, pid)
		}
	}
	return found
}

// ByMark returns all orphans, the dead included, by the marks that they bear.
func (o *Orphans) ByMark() map[Mark][]int {
	list := o.list()
	if len(list) == 0 {
		return nil
	}
	by := map[Mark][]int{}
	for _, pid := range list {
		if mark := o.Mark(pid); mark != 0 {
			by[mark] = append(by[mark], pid)
		}
	}
	return by
}

// Mark returns that of one orphan; 0: it has none. It is read once for each.
func (o *Orphans) Mark(pid int) Mark {
	mark, ok := o.marks[pid]
	if !ok {
		b, err := proc.Read(pid, "limits", 0)
		if err != nil {
			return 0
		}
		for _, one := range parseMarks(b) {
			if one&markBit != 0 && one&sessionBit != 0 && mark == 0 {
				mark = one
			}
		}
		if o.marks == nil {
			o.marks = map[int]Mark{}
		}
		o.marks[pid] = mark
	}
	return mark
}

// Forget forgets an orphan that is about to be reaped: its pid may be another's then.
func (o *Orphans) Forget(pid int) { delete(o.marks, pid) }

// ForgetAll is Forget for those that were reaped unnoticed.
func (o *Orphans) ForgetAll() { clear(o.marks) }

// To read a list of more than manyOrphans costs more than all else that is done at the end
// of a job: it is read anew when listShare times as long has passed, and the orphans that
// have come meanwhile are found by the end of a later job.
const (
	manyOrphans = 300
	listShare   = 50
)

func (o *Orphans) list() []int {
	began := time.Now()
	if len(o.last) > manyOrphans && began.Sub(o.read) < listShare*o.took {
		return o.last
	}
	o.last = o.last[:0]
	self := os.Getpid()
	b, _ := proc.Read(self, "task/"+strconv.Itoa(self)+"/children", 0)
	for f := range bytes.FieldsSeq(b) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			o.last = append(o.last, pid)
		}
	}
	o.read = time.Now()
	o.took = o.read.Sub(began)
	return o.last
}

// Below is the tree of these processes and what is below them, instead of all descendants.
func Below(roots func() []int) *Tree { return &Tree{roots: roots} }

// Living returns the pids of those that live, and of those that are on their way to being
// dead.
func (t *Tree) Living() (live, exiting []int) {
	found, _ := t.live()
	for _, p := range found {
		if s, err := proc.ReadStat(p.pid); err == nil && !s.Exiting() {
			live = append(live, p.pid)
		} else {
			exiting = append(exiting, p.pid)
		}
	}
	return live, exiting
}

// Strike stops every descendant and sends SIGKILL to those that it has stopped. Other than
// Kill it does not wait for their end.
func (t *Tree) Strike() {
	held, _, _ := t.stop()
	for _, p := range held {
		send(p, unix.SIGKILL)
	}
}

// start returns where a look at the tree begins, the youngest first: it may be about to end
// and leave a child.
func (t *Tree) start(below func(pid int) []int) []int {
	if t.roots != nil {
		return t.roots()
	}
	todo := t.children(below)
	slices.Reverse(todo)
	return todo
}

// children returns the children of this process and of the foster. The latter come first: when
// it dies they become this process's, and a look in between must not miss them.
func (t *Tree) children(below func(pid int) []int) (pids []int) {
	if foster := t.Foster.PID(); foster > 0 {
		pids = below(foster)
	}
	return append(pids, below(os.Getpid())...)
}

// spares says whether a process is no job's, with all below it: the foster's children are looked
// for apart.
func (t *Tree) spares(pid int) bool {
	return pid == t.Foster.PID() || slices.Contains(t.Spare, pid)
}

// reaps says whether it is for Reap to reap the children of a process.
func (t *Tree) reaps(pid int) bool { return pid == os.Getpid() || pid == t.Foster.PID() }
