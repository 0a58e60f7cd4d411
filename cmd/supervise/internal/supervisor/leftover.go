package supervisor

import (
	"bytes"
	"os"
	"strconv"
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

// listLeftovers notes who outlived the main process. If there are few, one that
// is ending by itself is none.
func (j *Job) listLeftovers(pids []int) {
	began := time.Now()
	few := len(pids) <= maxLeftovers
	for _, pid := range pids[:min(len(pids), maxLeftovers)] {
		if len(j.res.Leftovers) > 0 && time.Since(began) > listLimit {
			return
		}
		l, exiting, ok := readLeftover(pid)
		if most := began.Sub(j.started).Seconds(); l.AgeS != nil && *l.AgeS > most {
			l.AgeS = &most // its start is told in ticks of 10 ms; it is younger than the job
		}
		if ok && (!exiting || !few) {
			j.res.Leftovers = append(j.res.Leftovers, l)
		} else if few {
			j.res.LeftoversTotal--
		}
	}
}

// readLeftover describes a process from /proc/PID/stat and cmdline
// (proc_pid_stat(5)); not ok: it is gone. One that is exiting has no argv any more,
// and no memory.
func readLeftover(pid int) (l protocol.Leftover, exiting, ok bool) {
	stat, err := proc.Read(pid, "stat", 0)
	if err != nil {
		return l, false, false
	}
	exiting = isExiting(stat)
	l = protocol.Leftover{PID: pid, Comm: comm(stat), Argv: []string{}, AgeS: age(stat)}
	if exiting {
		return l, true, true
	}
	if b, err := proc.Read(pid, "cmdline", maxArgv); err == nil && len(b) > 0 {
		l.Argv = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	} else if stat, err := proc.Read(pid, "stat", 0); err != nil || isExiting(stat) { // it has ended meanwhile
		return l, true, true
	}
	l.RSSBytes = resident(stat)
	return l, false, true
}

// comm takes the name, which may hold anything, from between the parentheses.
func comm(stat []byte) string {
	_, rest, _ := strings.Cut(string(stat[:max(0, bytes.LastIndexByte(stat, ')'))]), "(")
	return rest
}

// statFields returns what stands behind the name in /proc/PID/stat: the third
// field of proc_pid_stat(5) and on.
func statFields(stat []byte) [][]byte {
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

// isExiting looks for PF_EXITING in field 9.
func isExiting(stat []byte) bool {
	fields := statFields(stat)
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&0x4 != 0
}

// resident reads field 24, in pages.
func resident(stat []byte) *int64 {
	fields := statFields(stat)
	if len(fields) < 22 {
		return nil
	}
	pages, err := strconv.ParseInt(string(fields[21]), 10, 64)
	if err != nil {
		return nil
	}
	size := pages * int64(os.Getpagesize())
	return &size
}

// age reads field 22 of /proc/PID/stat, the start in clock ticks after boot; a
// tick is 1/100 s for user space on every architecture of Go's (USER_HZ).
func age(stat []byte) *float64 {
	fields := statFields(stat)
	if len(fields) < 20 {
		return nil
	}
	ticks, err := strconv.ParseUint(string(fields[19]), 10, 64)
	var now unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return nil
	}
	s := max(0, float64(now.Nano())/1e9-float64(ticks)/100)
	return &s
}
