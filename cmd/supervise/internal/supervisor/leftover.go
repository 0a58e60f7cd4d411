package supervisor

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// The list is bounded, in length and in the time it may hold up the end: a fork
// bomb need not be told in full.
const (
	maxLeftovers = 100
	listLimit    = 10 * time.Millisecond
)

// listLeftovers notes who outlived the main process.
func (j *job) listLeftovers() {
	l, ok := j.Containment.(Lister)
	if !ok {
		return
	}
	pids, err := l.Procs()
	if err != nil {
		j.fail(err)
	}
	j.res.LeftoversTotal = len(pids)
	began := time.Now()
	for _, pid := range pids[:min(len(pids), maxLeftovers)] {
		if len(j.res.Leftovers) > 0 && time.Since(began) > listLimit {
			return
		}
		if l, ok := readLeftover(pid); ok {
			j.res.Leftovers = append(j.res.Leftovers, l)
		} else {
			j.res.LeftoversTotal--
		}
	}
}

// readLeftover describes a process; false if it is gone, or going.
func readLeftover(pid int) (protocol.Leftover, bool) {
	proc := "/proc/" + strconv.Itoa(pid) + "/"
	stat, err := os.ReadFile(proc + "stat")
	if err != nil || isExiting(stat) {
		return protocol.Leftover{}, false
	}
	comm, err := os.ReadFile(proc + "comm")
	if err != nil {
		return protocol.Leftover{}, false
	}
	l := protocol.Leftover{PID: pid, Comm: strings.TrimSuffix(string(comm), "\n"), Argv: []string{}}
	if b, err := os.ReadFile(proc + "cmdline"); err == nil && len(b) > 0 {
		l.Argv = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	}
	if b, err := os.ReadFile(proc + "statm"); err == nil {
		l.RSSBytes = resident(b)
	}
	l.AgeS = age(stat)
	return l, true
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

// resident reads the second field of /proc/PID/statm, in pages.
func resident(statm []byte) *int64 {
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return nil
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
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
