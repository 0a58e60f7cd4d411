package supervisor

import (
	"errors"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/protocol"
)

// The list is bounded, in length, in the time it may hold up the end, and in the memory
// that another's command lines take: a fork bomb need not be told in full.
const (
	maxLeftovers = 100
	slowLimit    = 400 * time.Millisecond // on a busy machine; else it takes one or two
	maxArgv      = 4 << 10                // bytes of one command line
	maxArgvs     = 64 << 10               // bytes of all of them
)

// listLeftovers notes the processes that outlived the main process. Of a few, one that
// is ending by itself does not count. What the kernel tells without asking the process
// comes first; the command lines come from a reader, and not at all for those that were
// killed, which have none.
func (j *Job) listLeftovers(pids []int) {
	began := time.Now()
	few := len(pids) <= maxLeftovers
	for _, pid := range pids[:min(len(pids), maxLeftovers)] {
		if len(j.left) > 0 && time.Since(began) > slowLimit {
			break
		}
		l, exiting, err := readLeftover(pid)
		if most := began.Sub(j.started).Seconds(); l.AgeS != nil && *l.AgeS > most {
			l.AgeS = &most // its start is told in ticks of 10 ms; it is younger than the job
		}
		switch {
		case err == nil && (!exiting || !few):
			j.left = append(j.left, l)
		case few && (err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)):
			j.leftAll-- // it has gone, or is going; one that could not be read counts
		}
	}
	if j.state < Killing {
		j.readArgvs(few)
	}
}

// readLeftover describes a process from /proc/PID/stat (proc_pid_stat(5)), which no process
// can delay. One that is exiting has no memory any more, nor can that of one without its first
// thread be read.
func readLeftover(pid int) (l protocol.Leftover, exiting bool, err error) {
	stat, err := proc.ReadStat(pid)
	if err != nil {
		return l, false, err
	}
	l = protocol.Leftover{PID: pid, Comm: string(stat.Comm), Argv: []string{}, AgeS: age(stat.Start)}
	if !stat.Exiting() && !stat.Headless() {
		l.RSSBytes = resident(stat.RSS)
	}
	return l, stat.Exiting(), nil
}

// cut shortens a command line that is too long, not inside of a character.
func cut(b []byte, most int) (short []byte, isCut bool) {
	if len(b) <= most {
		return b, false
	}
	n := most
	for n > max(0, most+1-utf8.UTFMax) && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n], true
}

// splitArgv parts a command line, each argument of which ends with a NUL.
func splitArgv(b []byte) []string {
	if len(b) == 0 {
		return []string{} // in JSON not null
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
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
