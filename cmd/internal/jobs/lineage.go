package jobs

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// hertz is USER_HZ, the unit of times in proc(5), which is 100 on every processor that
// Go runs on.
const hertz = 100

// A process is what /proc/PID/stat tells of one.
type process struct {
	proc.Stat
	comm string
	cpu  uint64 // ticks of its own and of its children that were waited for
	dead uint64 // the latter part alone
	exit int    // the signal that its parent gets at its end; 0: none, as with a twin of supervise
}

// A table is all processes that /proc shows, at about one moment.
type table struct {
	all      map[int]process
	children map[int][]int // by the parent's pid, oldest first
}

// readTable reads it; a process that ends meanwhile is left out.
func readTable() (*table, error) {
	names, err := proc.Names("/proc")
	if err != nil {
		return nil, err
	}
	t := &table{all: map[int]process{}, children: map[int][]int{}}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, err := readProcess(pid); err == nil {
				t.all[pid] = p
				t.children[p.Parent] = append(t.children[p.Parent], pid)
			}
		}
	}
	for _, list := range t.children {
		slices.SortFunc(list, func(a, b int) int { return int(t.all[a].Start) - int(t.all[b].Start) })
	}
	return t, nil
}

// Fields of /proc/PID/stat, counted from the state.
const (
	fieldUtime = 11 // and stime, cutime, cstime behind it
	fieldExit  = 35 // exit_signal
)

func readProcess(pid int) (p process, err error) {
	text, err := proc.Read(pid, "stat", 1)
	if err != nil {
		return p, err
	}
	if p.Stat, err = proc.ParseStat(text); err != nil {
		return p, err
	}
	p.comm = string(p.Comm)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	number := func(i int) (n uint64) {
		if i < len(fields) {
			n, _ = strconv.ParseUint(fields[i], 10, 64)
		}
		return n
	}
	p.dead = number(fieldUtime+2) + number(fieldUtime+3)
	p.cpu, p.exit = number(fieldUtime)+number(fieldUtime+1)+p.dead, int(number(fieldExit))
	return p, nil
}

// lineage lists the job of a supervisor that holds it by descent: all live processes below it but
// for its twins, one of which may be between the two.
func (t *table) lineage(supervisor int) (pids []int) {
	for _, child := range t.children[supervisor] {
		if t.isTwin(child) {
			pids = append(pids, t.children[child]...)
		} else {
			pids = append(pids, child)
		}
	}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, t.children[pids[i]]...)
	}
	return slices.DeleteFunc(pids, func(pid int) bool { p := t.all[pid]; return p.Ended() })
}

// isTwin says whether a child of a supervisor is a twin of it. The kernel tells them apart: no
// other one was cloned with exit signal 0, and an orphan that it inherits has SIGCHLD (clone(2),
// reparent_leader in exit.c).
func (t *table) isTwin(pid int) bool { return t.all[pid].PID == pid && t.all[pid].exit == 0 }

// holds says whether a process is the supervisor, or its twin between it and the job.
func (t *table) holds(supervisor, pid int) bool {
	return pid == supervisor || t.all[pid].Parent == supervisor && t.isTwin(pid)
}

// owner is the process that has started a supervisor: the next one above that is none.
func (t *table) owner(supervisor int, isSupervisor func(pid int) bool) (pid int) {
	for pid = t.all[supervisor].Parent; pid > 0 && isSupervisor(pid); {
		pid = t.all[pid].Parent
	}
	return pid
}

// since is when a process was started.
func (p *process) since() time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()) + time.Duration(p.Start)*(time.Second/hertz))
}

// nameOf is the name of the job of a supervisor, by the arguments of that, where it has a name
// of its own; "": it has not.
func nameOf(argv []string) string {
	end := slices.Index(argv, "--")
	for i := 2; i < end; i++ {
		if name, ok := strings.CutPrefix(argv[i], "--name="); ok {
			return name
		}
		if argv[i] == "--name" {
			return argv[i+1]
		}
	}
	return ""
}

// Procs lists the live processes of the job that this PID namespace shows, oldest first.
func (j *Job) Procs() (list []protocol.Process, err error) {
	t, err := readTable()
	if err != nil {
		return nil, err
	}
	var pids []int
	if j.held != nil {
		pids, err = j.held.Procs()
	} else if t.all[*j.Supervisor].Start == j.start {
		pids = t.lineage(*j.Supervisor)
	}
	list = []protocol.Process{}
	slices.SortFunc(pids, func(a, b int) int { return cmp.Or(cmp.Compare(t.all[a].Start, t.all[b].Start), a-b) })
	for _, pid := range pids {
		p, ok := t.all[pid]
		if !ok {
			continue
		}
		list = append(list, protocol.Process{
			PID: pid, Parent: p.Parent, State: string(p.State), Comm: p.comm, Threads: p.Threads,
			AgeS: time.Since(p.since()).Seconds(), CPUS: float64(p.cpu) / hertz, RSSBytes: p.RSS * int64(os.Getpagesize()),
		})
	}
	return list, err
}

// argvOf reads the arguments of a process; none of one that has none.
func argvOf(pid int) []string {
	text, err := proc.Read(pid, "cmdline", 0)
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
