package containment

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// Guard starts the guardian of a session, as late as can be: what is written
// between the fork and the end is paid for a second time. The fallback has none.
func (p *Place) Guard() error {
	if p.session == nil {
		return nil
	}
	kill, err := p.session.KillFD()
	if errors.Is(err, unix.ENOENT) { // before Linux 5.14 it has no better way than the cleaner's
		kill, err = -1, nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(kill)
	shelter, err := p.session.Shelter()
	if err != nil {
		return err
	}
	if shelter >= 0 {
		defer unix.Close(shelter)
	}
	session, root := p.session.FD(), p.session.RootFD()
	return p.startGuardian(guardian.Plan{
		Kill: kill, Keep: [2]int{session, root}, Into: max(shelter, 0),
		Args: [2]string{strconv.Itoa(session) + " " + strconv.Itoa(root), p.marks.Session().String()},
	})
}

// MarkJobs has every job that starts from here on bear a mark, by which processes are
// known that have left the cgroup of their job. Call it before Guard.
func (p *Place) MarkJobs() {
	if p.session != nil {
		p.marks = subreaper.NewMarks()
	}
}

// WatchGuardian has the loop start another guardian when the one has died, which only a
// SIGKILL can do. Without the other one, a SIGKILL to this process leaks the job.
func (p *Place) WatchGuardian(s *supervisor.Supervisor) {
	g := p.guardian
	if g == nil || g.PIDFD() < 0 {
		return
	}
	s.Inputs = append(s.Inputs, supervisor.Input{FD: g.PIDFD(), Read: func() (more bool) {
		if p.guardian != g {
			return false // it was dismissed, or became another place's
		}
		s.Drop(g.PIDFD())
		g.Bury()
		p.spareNoMore(g.PID())
		p.guardian = nil
		if p.guardAgain() == nil {
			p.WatchGuardian(s)
		}
		return false
	}})
}

// guardAgain starts a guardian in the place of one that has died.
func (p *Place) guardAgain() error {
	if p.mark != 0 {
		return p.startMarked()
	}
	return p.Guard()
}

// GuardMarked starts the guardian of the fallback, once, for children that exist
// already: it knows them by a mark. The loop marks again for a while, for the sake of
// processes that were being forked. If there is no guardian to be had, the job is as
// safe as with the seed.
func (p *Place) GuardMarked(s *supervisor.Supervisor) {
	if p.guardian == nil {
		p.guardMarked()
		p.WatchGuardian(s)
		p.markOn(s)
	}
}

func (p *Place) guardMarked() error {
	mark, err := subreaper.NewMark()
	if err != nil {
		return err
	}
	p.mark = mark
	if err := p.startMarked(); err != nil {
		p.mark = 0
		return err
	}
	_, err = p.Tree.SetMark(mark)
	return err
}

// startMarked starts the guardian of the processes that bear the mark.
func (p *Place) startMarked() error {
	return p.startGuardian(guardian.Plan{Kill: -1, Keep: [2]int{-1, -1}, Args: [2]string{markArg, p.mark.String()}})
}

// How long marking goes on, in the background.
const (
	markEvery = 5 * time.Millisecond
	markTimes = 200
)

// markOn has the supervisor mark again, until all sleep and bear the mark.
func (p *Place) markOn(s *supervisor.Supervisor) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return
	}
	every := unix.NsecToTimespec(int64(markEvery))
	unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
	times := 0
	s.Inputs = append(s.Inputs, supervisor.Input{FD: fd, Read: func() (more bool) {
		var ticks [8]byte
		unix.Read(fd, ticks[:])
		times++
		if p.mark != 0 && times < markTimes {
			settled, err := p.Tree.SetMark(p.mark)
			more = !settled && err == nil
		}
		if !more {
			unix.Close(fd)
		}
		return more
	}})
}

func (p *Place) startGuardian(plan guardian.Plan) (err error) {
	if p.guardian, err = guardian.Start(plan); err == nil {
		p.Tree.Spare = append(p.Tree.Spare, p.guardian.PID())
	}
	return err
}

// markArg is the guardian's first argument where the second is a mark.
const markArg = "mark"

// dismiss ends the guardian, if there is one.
func (p *Place) dismiss() {
	if p.guardian != nil {
		p.guardian.Dismiss()
		p.guardian.Wait()
		p.spareNoMore(p.guardian.PID())
		p.guardian = nil
	}
}

// Clean is the second life of a guardian: it ends what a supervisor that was killed has
// left. Nothing reads its result but the exit status.
func Clean(args []string) error {
	if args[0] == markArg {
		mark, err := subreaper.ParseMark(args[1])
		if err != nil {
			return err
		}
		return mark.Kill()
	}
	first, second, _ := strings.Cut(args[0], " ")
	session, err1 := strconv.Atoi(first)
	root, err2 := strconv.Atoi(second)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s, err := cgroup.Inherit(session, root)
	if err == nil {
		err = s.Destroy()
	}
	if mark, e := subreaper.ParseMark(args[1]); e == nil { // else the jobs bear none
		err = errors.Join(err, mark.Kill())
	}
	return err
}
