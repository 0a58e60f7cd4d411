package run

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
)

// A progress shows on the last row of the terminal what the job uses (--progress):
//
//	the time has come, the window has another size ──> draw
//	the job reads keys, supervise is in the background, stops or ends ──> erase
//
// A program that reads keys and not lines, an editor or a pager, has the whole screen: it
// makes the terminal raw first. With --pty, where supervise copies the output, the line is
// gone before anything of such a program is shown. Else the kernel tells of the change of
// modes as it does relay.watchEnd, which is mostly in time.
//
// Several supervises on one terminal draw one line: that of the one that has locked the
// terminal (flock(2)).
//
// What supervise cannot do any more when it is killed is to give the row back.
type progress struct {
	line    bottomLine
	timer   int          // timerfd_create(2)
	modes   *wire.Poller // those of the terminal may have changed
	due     bool         // it waits for a gap in the output
	group   int          // supervise's process group
	resumed time.Time    // from the last stop
	started time.Time
	r       *runner
}

// openProgress returns nil where there is no terminal to draw on.
func openProgress(r *runner) (*progress, error) {
	c, term := r.c, os.Getenv("TERM")
	if c.progress == 0 || c.events >= 0 || term == "" || term == "dumb" {
		return nil, nil
	}
	// It fails for what is no terminal, and for one that is not the controlling one.
	if _, err := unix.IoctlGetInt(2, unix.TIOCGPGRP); err != nil {
		return nil, nil
	}
	p := &progress{group: unix.Getpgrp(), started: r.began, r: r}
	var err error
	if p.modes, err = wire.NewPoller(); err != nil {
		return nil, err
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	p.line.out = openStandard(2, unix.O_WRONLY)
	return p, nil
}

// connect has the loop draw.
func (p *progress) connect(s *supervisor.Supervisor) error {
	if p == nil {
		return nil
	}
	if p.r.relay != nil {
		p.r.relay.progress = p
	}
	heard := s.Heard
	s.Heard = func(sig signals.Signal) {
		if heard != nil {
			heard(sig)
		}
		p.heard(sig)
	}
	s.Inputs = append(s.Inputs, supervisor.Input{FD: p.timer, Read: p.tick}, supervisor.Input{FD: p.modes.FD(), Read: p.modesChanged})
	every := unix.NsecToTimespec(int64(p.r.c.progress))
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(p.timer, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil))
}

// tick draws, now that it is time.
func (p *progress) tick() (more bool) {
	var expired [8]byte
	unix.Read(p.timer, expired[:])
	p.refresh()
	return true
}

// refresh draws or erases, whichever is right now.
func (p *progress) refresh() {
	// First the foreground, then the processes: one that has got it from another is found.
	foreground, _ := unix.IoctlGetInt(p.line.out.FD(), unix.TIOCGPGRP)
	pids, err := p.r.place.Procs()
	isFront := foreground == p.group || slices.Contains(pids, foreground)
	switch {
	case p.r.job.State() == supervisor.Ended || !isFront || !p.readsLines():
		p.erase()
		return
	case !p.inGap():
		p.due = true
		return
	case !p.line.isThere() && !p.lock(unix.LOCK_EX):
		return
	}
	if err != nil {
		pids = nil
	}
	p.due = false
	p.line.draw(p.text(len(pids)))
	switch {
	case !p.line.isThere():
		p.lock(unix.LOCK_UN)
	case p.r.relay == nil:
		p.modes.Watch(p.line.out.FD(), unix.EPOLLOUT|unix.EPOLLET, func(uint32) {})
	}
}

// readsLines says whether the job's terminal gives lines.
func (p *progress) readsLines() bool {
	if p.r.relay != nil {
		return hasLines(p.r.relay.slave)
	}
	return hasLines(p.line.out.FD())
}

// lock locks the terminal, or unlocks it. Where the terminal could not be opened anew
// the lock is one with those who gave it to this process.
func (p *progress) lock(how int) bool { return unix.Flock(p.line.out.FD(), how|unix.LOCK_NB) == nil }

// inGap says whether the cursor may be moved: not within an escape sequence or a character
// of which the rest is still to come. What the job writes itself cannot be seen.
func (p *progress) inGap() bool {
	if p.r.relay == nil {
		return true
	}
	quiet := p.due && !p.r.relay.wrote
	p.r.relay.wrote = false
	return len(p.r.relay.shown) == 0 && (quiet || p.r.relay.last == '\n' || p.r.relay.last == 0)
}

// isNext is called before more of the job's output is written.
func (p *progress) isNext() {
	if p != nil && p.line.isThere() && !p.readsLines() {
		p.erase()
	}
}

// isWritten is called when that was written.
func (p *progress) isWritten() {
	if p != nil && p.due && p.r.relay.last == '\n' {
		p.refresh()
	}
}

// modesChanged erases the line at once when the job begins to read keys. The next tick
// draws it again: at the end of such a program the screen is not as it was at once.
func (p *progress) modesChanged() (more bool) {
	p.modes.Dispatch()
	if p.line.isThere() && !p.readsLines() {
		p.erase()
	}
	return true
}

// heard draws in a window of another size, and stops this process where it must catch
// SIGTSTP: see terminal.caught.
func (p *progress) heard(s signals.Signal) {
	switch {
	case s.Signal == unix.SIGWINCH && p.line.isThere():
		p.refresh()
	case s.Signal == unix.SIGTSTP && !s.Held && p.stops():
		p.erase()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer signals.Release(s.Signal)()
		unix.Tgkill(os.Getpid(), unix.Gettid(), s.Signal) // to this very thread: it stops before it returns
	}
}

// stops says whether SIGTSTP is to stop this process. One that came to the whole group
// may be read when terminal.Suspend has seen to it already.
func (p *progress) stops() bool {
	t := p.r.terminal
	return (t.shared || t.copied) && time.Since(p.resumed) > 50*time.Millisecond
}

// erase gives the last row back until the next tick.
func (p *progress) erase() {
	if p == nil || !p.line.isThere() {
		return
	}
	p.line.erase()
	p.modes.Watch(p.line.out.FD(), 0, func(uint32) {})
	p.lock(unix.LOCK_UN)
}

// text is what is known of the job; processes is 0 if that is not. Without the memory controller nothing of its memory.
func (p *progress) text(processes int) string {
	parts := []string{"supervise: " + clock(time.Since(p.started))}
	if j := p.r.place.Job(); j != nil {
		if user, system, err := j.CPU(); err == nil {
			parts = append(parts, fmt.Sprintf("cpu %.1f s", float64(user+system)/1e6))
		}
		if current, limit := j.Memory(); current != nil {
			parts = append(parts, "memory "+record.Amount(current))
			if limit != nil {
				parts[len(parts)-1] += " of " + record.Amount(limit)
			}
		}
	}
	if processes == 1 {
		parts = append(parts, "1 process")
	} else if processes > 1 {
		parts = append(parts, fmt.Sprintf("%d processes", processes))
	}
	return strings.Join(parts, ", ")
}

// clock is 1:05, or 2:01:05.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
