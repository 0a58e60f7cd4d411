package supervisor

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// The list is bounded, in length and in the time it may hold up the end: a fork
// bomb need not be told in full.
const (
	maxLeftovers = 100
	listLimit    = 10 * time.Millisecond
	maxArgv      = 128 << 10 // bytes
)

// listLeftovers notes the processes that outlived the main process. Of a few, one that
// is ending by itself does not count.
func (j *Job) listLeftovers(pids []int) {
	began := time.Now()
	few := len(pids) <= maxLeftovers
	for _, pid := range pids[:min(len(pids), maxLeftovers)] {
		if len(j.left) > 0 && time.Since(began) > listLimit {
			return
		}
		l, exiting, ok := readLeftover(pid)
		if most := began.Sub(j.started).Seconds(); l.AgeS != nil && *l.AgeS > most {
			l.AgeS = &most // its start is told in ticks of 10 ms; it is younger than the job
		}
		if ok && (!exiting || !few) {
			j.left = append(j.left, l)
		} else if few {
			j.leftAll--
		}
	}
}

// readLeftover describes a process from /proc/PID/stat and cmdline
// (proc_pid_stat(5)); not ok: it is gone. One that is exiting has no argv any more,
// and no memory.
func readLeftover(pid int) (l protocol.Leftover, exiting, ok bool) {
	stat, err := proc.ReadStat(pid)
	if err != nil {
		return l, false, false
	}
	l = protocol.Leftover{PID: pid, Comm: string(stat.Comm), Argv: []string{}, AgeS: age(stat.Start)}
	if stat.Exiting() {
		return l, true, true
	}
	if b, err := proc.Read(pid, "cmdline", maxArgv); err == nil && len(b) > 0 {
		l.Argv = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	} else if now, err := proc.ReadStat(pid); err != nil || now.Exiting() { // it has ended meanwhile
		return l, true, true
	}
	l.RSSBytes = resident(stat.RSS)
	return l, false, true
}

// resident is in bytes.
func resident(pages int64) *int64 {
	size := pages * int64(os.Getpagesize())
	return &size
}

// age is how long ago a process started, in seconds; a tick is 1/100 s for user
// space on every architecture of Go's (USER_HZ).
func age(ticks uint64) *float64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return nil
	}
	s := max(0, float64(now.Nano())/1e9-float64(ticks)/100)
	return &s
}
