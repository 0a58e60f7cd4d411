package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bombing is how long a fork bomb may go on before the end begins. It hits its limit within a fraction of that.
const bombing = 3 * time.Second

// bomb measures how long it takes to end a job that forks as fast as the kernel lets it: from the time-out of the job to
// the exit of supervise. (The exit of its main process would not do as the beginning: the main process has to get a
// processor for that, of which it has a thousandth.) The user who forks is another one, because RLIMIT_NPROC does not
// bind root. All of it happens in a cgroup of the bench, and ends with it whatever supervise does.
func (b *bench) bomb() error {
	uid, ok := spareUID()
	if os.Geteuid() != 0 || !ok || !b.ground.usable() {
		fmt.Fprintln(os.Stderr, "bench: the fork bomb needs root and a writable cgroup2: left out")
		return nil
	}
	cases := []struct {
		contain string
		limit   int
		target  float64
		times   []float64
	}{
		{"cgroup", 200, 500, nil},
		{"cgroup", 1000, 500, nil},
		{"subreaper", 200, 1000, nil},
		{"subreaper", 1000, 4000, nil},
	}
	for range b.rounds {
		for i, c := range cases {
			took, err := b.endBomb(c.contain, uid, c.limit)
			if err != nil {
				return fmt.Errorf("%d processes, %s: %w", c.limit, c.contain, err)
			}
			cases[i].times = append(cases[i].times, milliseconds(took))
		}
	}
	for _, c := range cases {
		b.add(row{
			Measure: "ending a fork bomb", Program: fmt.Sprintf("RLIMIT_NPROC %d, --contain %s", c.limit, c.contain),
			Median: median(c.times), Unit: "ms", Rounds: b.rounds, Target: medianAtMost(c.target),
		})
	}
	return nil
}

func (b *bench) endBomb(contain string, uid, limit int) (time.Duration, error) {
	begin := time.Now()
	s, err := b.spawnReady([]string{
		b.supervise, "run", "--contain", contain, "--timeout", bombing.String(), "--grace", "0s", "--",
		b.adversary, "bomb", "-count", strconv.Itoa(limit), "-uid", strconv.Itoa(uid),
	})
	if err != nil {
		return 0, err
	}
	if ready := time.Since(begin); ready > bombing {
		return 0, errors.Join(fmt.Errorf("the bomb was ready after %v only", ready), b.finish(s))
	}
	stuck := time.AfterFunc(endLimit, func() { syscall.Kill(s.pid, syscall.SIGKILL) })
	defer stuck.Stop()
	status, err := wait(s.pid)
	took := time.Since(begin) - bombing
	s.close()
	if err == nil && (!status.Exited() || status.ExitStatus() != 124) {
		err = fmt.Errorf("supervise ended with status %#x, not with that of a time-out", uint32(status))
	}
	if left := processesOf(uid); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("processes left: %v", left))
	}
	return took, errors.Join(err, b.ground.clear(s.dir))
}

// spareUID is a user that nobody is.
func spareUID() (int, bool) {
	for uid := 64000; uid < 65000; uid++ {
		if len(processesOf(uid)) == 0 {
			return uid, true
		}
	}
	return 0, false
}

func processesOf(uid int) (pids []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		var st unix.Stat_t
		if unix.Stat(d, &st) == nil && int(st.Uid) == uid {
			pids = append(pids, filepath.Base(d))
		}
	}
	return pids
}
