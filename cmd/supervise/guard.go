package main

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// guard starts the guardian of a session, as late as can be: what is written
// between the fork and the end is paid for a second time.
func (h *hold) guard() error {
	if h.session == nil {
		return nil
	}
	kill, err := h.session.KillFD()
	if errors.Is(err, unix.ENOENT) { // before Linux 5.14 it has no better way than the cleaner's
		kill, err = -1, nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(kill)
	session, root := h.session.FD(), h.session.RootFD()
	return h.startGuardian(guardian.Plan{
		Kill: kill, Keep: [2]int{session, root}, Args: [2]string{strconv.Itoa(session), strconv.Itoa(root)},
	})
}

// guardMarked starts the guardian of the fallback, for children that exist
// already: it knows them by a mark.
func (h *hold) guardMarked() error {
	mark, err := subreaper.NewMark()
	if err != nil {
		return err
	}
	if err := h.startGuardian(guardian.Plan{Kill: -1, Keep: [2]int{-1, -1}, Args: [2]string{markArg, mark.String()}}); err != nil {
		return err
	}
	_, err = h.tree.SetMark(mark)
	h.mark = mark
	return err
}

// Marking goes on for a while, in the background, for the sake of processes that were
// being forked.
const (
	markEvery = 5 * time.Millisecond
	markTimes = 200
)

// markOn has the supervisor mark again, until all sleep and bear the mark.
func (h *hold) markOn(s *supervisor.Supervisor) {
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
		if h.mark != 0 && times < markTimes {
			settled, err := h.tree.SetMark(h.mark)
			more = !settled && err == nil
		}
		if !more {
			unix.Close(fd)
		}
		return more
	}})
}

func (h *hold) startGuardian(p guardian.Plan) (err error) {
	if h.guardian, err = guardian.Start(p); err == nil {
		h.tree.Spare = append(h.tree.Spare, h.guardian.PID())
	}
	return err
}

// markArg is the guardian's first argument where the second is a mark.
const markArg = "mark"

// clean is the second life of a guardian: it ends what a supervisor that was
// killed has left. Nobody listens to it.
func clean(args []string) error {
	if args[0] == markArg {
		mark, err := subreaper.ParseMark(args[1])
		if err != nil {
			return err
		}
		return mark.Kill()
	}
	session, err1 := strconv.Atoi(args[0])
	root, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s, err := cgroup.Inherit(session, root)
	if err != nil {
		return err
	}
	return s.Destroy()
}
