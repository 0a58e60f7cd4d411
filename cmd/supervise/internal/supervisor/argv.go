package supervisor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/protocol"
)

const (
	// hangLimit is how long one command line may keep a reader waiting, hangs how many may.
	hangLimit = 5 * time.Millisecond
	hangs     = 2
	// maxHanging is how many readers that do not end are put up with before no command
	// line is read any more. They were killed, and most end at once.
	maxHanging = 8
)

// readArgvs adds the command lines to the list, as far as they can be had at once. Of few
// leftovers, one that has ended by itself meanwhile does not count.
func (j *Job) readArgvs(few bool) {
	room, all := maxArgvs, len(j.left)
	j.s.readLines(j.left, func(i int, line []byte) {
		l := &j.left[i]
		if len(line) == 0 && hasEnded(l.PID) {
			l.RSSBytes = nil
			if few && j.Leftovers != protocol.LeftoversWait { // else it was waited for
				l.PID = 0
			}
		}
		// What a process does not use of its share is for those behind it.
		line, l.ArgvCut = cut(line, min(maxArgv, room/(all-i)))
		l.Argv = splitArgv(line)
		room -= len(line)
	})
	j.left = slices.DeleteFunc(j.left, func(l protocol.Leftover) bool { return l.PID == 0 })
	j.leftAll -= all - len(j.left)
}

func hasEnded(pid int) bool {
	stat, err := proc.ReadStat(pid)
	return err != nil || stat.Exiting()
}

// readLines calls add for each command line that can be read, in order. A process can make
// that last, and must not thereby put off its end or ours: it is left out.
func (s *Supervisor) readLines(of []protocol.Leftover, add func(i int, line []byte)) {
	pids := make([]int, len(of))
	for i := range of {
		pids[i] = of[i].PID
	}
	began, next := time.Now(), 0
	for range hangs {
		if next >= len(pids) || len(s.hanging) >= maxHanging {
			return
		}
		r, err := guardian.Read(pids[next:], maxArgv+1)
		if err != nil {
			return // no pid is left, say
		}
		for s.more(r, began) {
			lines, over := r.Next()
			for _, line := range lines {
				add(next, line)
				next++
			}
			if over {
				r.Close()
				return
			}
		}
		s.abandon(r)
		next++
	}
}

// more waits until a reader has more to return; false: it hangs. One that only wants a
// processor gets more time.
func (s *Supervisor) more(r *guardian.Reader, began time.Time) bool {
	for until := time.Now().Add(hangLimit); !isReadable(r.FD(), until); until = time.Now().Add(hangLimit) {
		if time.Since(began) > slowLimit || !runs(r.PID()) {
			return false
		}
	}
	return time.Since(began) <= slowLimit
}

// isReadable waits until a descriptor is.
func isReadable(fd int, until time.Time) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		timeout := unix.NsecToTimespec(int64(max(0, time.Until(until))))
		if n, err := unix.Ppoll(fds, &timeout, nil); err != unix.EINTR {
			return n > 0
		}
	}
}

// runs says whether a process runs, or would if it had a processor.
func runs(pid int) bool {
	stat, err := proc.ReadStat(pid)
	return err == nil && stat.State == 'R'
}

// abandon kills a reader, and reaps it when it has ended.
func (s *Supervisor) abandon(r *guardian.Reader) {
	r.Kill()
	s.spare(r.PID(), true)
	s.hanging = append(s.hanging, r)
	s.Inputs = append(s.Inputs, Input{FD: r.FD(), Read: func() (more bool) {
		if _, over := r.Next(); !over {
			return true
		}
		s.bury(r)
		return false
	}})
}

// bury reaps a reader that has ended.
func (s *Supervisor) bury(r *guardian.Reader) {
	r.Close()
	s.spare(r.PID(), false)
	s.hanging = slices.DeleteFunc(s.hanging, func(one *guardian.Reader) bool { return one == r })
}

// buryAll waits for the readers that were killed, a little: they may be where this process
// has to clean up.
func (s *Supervisor) buryAll() {
	until := time.Now().Add(slowLimit)
	for _, r := range slices.Clone(s.hanging) {
		for over := false; !over && isReadable(r.FD(), until); {
			if _, over = r.Next(); over {
				s.Drop(r.FD())
				s.bury(r)
			}
		}
	}
}

func (s *Supervisor) spare(pid int, is bool) {
	if s.Spare != nil {
		s.Spare(pid, is)
	}
}
