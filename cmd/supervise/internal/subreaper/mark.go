package subreaper

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A Mark makes the processes of a job known to a process that is not their ancestor: the
// guardian of the fallback. It is a soft limit that no ordinary process has a use for,
// RLIMIT_RTTIME (getrlimit(2): microseconds of real-time processor time without a pause),
// set to a random number of some 150,000 years; the limit is inherited through fork and
// execve, can be set on children that run already (prlimit(2)), and every process can
// read it in /proc/PID/limits. A process can take it off, so it serves for the one case
// for which there is nothing better. The zero value is no mark.
type Mark uint64

// Bit 62 keeps a mark above any limit that a process could mean; the 48 bits below are
// random.
const (
	markBit  = 1 << 62
	markMask = 1<<48 - 1
)

// NewMark draws a mark. Two of 48 random bits do not meet on one machine.
func NewMark() Mark { return markBit | Mark(rand.Uint64()&markMask) }

// ParseMark reads what String wrote.
func ParseMark(s string) (Mark, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n&markBit == 0 {
		return 0, fmt.Errorf("%q is no mark", s)
	}
	return Mark(n), nil
}

// String is the mark in decimal, for the arguments of a guardian.
func (m Mark) String() string { return strconv.FormatUint(uint64(m), 10) }

// SetMark marks every descendant. One that is just being forked is missed: it has
// copied its limits already, and appears later. A process that sleeps is not forking,
// so settled says that all did, and that none was new or, after Still, that all are
// stopped by now: else have it done again a little later.
func (t *Tree) SetMark(m Mark) (settled bool, err error) {
	t.keeps = true
	defer func() { t.keeps = false }()
	settled = true
	running := map[int]bool{}
	err = t.each(func(live []process) (acted bool, err error) {
		for _, p := range live {
			if m.isOn(p.pid) {
				running[p.pid] = p.state == 'R' || p.state == 'D'
				settled = settled && !running[p.pid]
				continue
			}
			settled, running[p.pid] = false, true
			switch err := m.put(p.pid); {
			case err == nil:
				acted = true
			case !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EPERM): // else it has gone, or is another user's
				return acted, err
			}
		}
		return acted, nil
	}, nil)
	if t.still {
		settled = !slices.Contains(slices.Collect(maps.Values(running)), true)
	}
	return settled, err
}

// put sets the soft limit and leaves the hard one, for which no privilege is needed. A
// process of another user is EPERM (prlimit(2) wants equal ids or CAP_SYS_RESOURCE).
func (m Mark) put(pid int) error {
	var limit unix.Rlimit
	err := unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit)
	if err == nil {
		limit.Cur = uint64(m)
		err = unix.Prlimit(pid, unix.RLIMIT_RTTIME, &limit, nil)
	}
	if err != nil {
		return fmt.Errorf("marking process %d: %w", pid, err)
	}
	return nil
}

// isOn reads by /proc rather than prlimit(2), as it is asked of processes of other users,
// too.
func (m Mark) isOn(pid int) bool {
	b, err := proc.Read(pid, "limits", 0)
	if err != nil {
		return false
	}
	for _, one := range parseMarks(b) {
		if one == m || m.isSession() && one&^jobBits == m {
			return true
		}
	}
	return false
}

// parseMarks finds the soft limits that may be marks in the text of /proc/PID/limits
// (proc(5)), 0 for each that is unlimited or not there.
func parseMarks(limits []byte) (marks [2]Mark) {
	for line := range bytes.Lines(limits) {
		for i, name := range [...]string{"Max realtime timeout", "Max file locks"} {
			if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
				if fields := bytes.Fields(rest); len(fields) > 0 {
					n, _ := strconv.ParseUint(string(fields[0]), 10, 64)
					marks[i] = Mark(n)
				}
			}
		}
	}
	return marks
}

// bearers returns the live processes that have the mark, and all below them: a process
// that was being forked when its parent got the mark lacks it. This process is none. It is the
// guardian, below a supervisor that may be killed while it wears a mark (Marks.Wear), and that
// is there for a while yet when its descriptors are closed, which wakes the guardian.
func (m Mark) bearers() (found []process, err error) {
	all, err := processes()
	all = slices.DeleteFunc(all, func(p process) bool { return p.pid == os.Getpid() })
	bears := map[int]bool{}
	for _, p := range all {
		if !p.dead && m.isOn(p.pid) {
			found, bears[p.pid] = append(found, p), true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !p.dead && !bears[p.pid] && bears[p.parent] {
				found, bears[p.pid], grown = append(found, p), true, true
			}
		}
	}
	return found, err
}

// Kill ends every process that has the mark, as Tree.Kill does.
func (m Mark) Kill() error { return (&Tree{mark: m}).Kill() }
