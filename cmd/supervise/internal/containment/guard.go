package containment

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Guard starts the guardian of a session, as late as can be: what is written
// between the fork and the end is paid for a second time. That of the fallback comes with the
// main process: see Foster.
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

// Foster has the main process of a fallback's one job be started by a foster, which a loop works
// with then.
func (p *Place) Foster(s *supervisor.Supervisor) { p.fostered = s }

// raise starts the foster, and with it the main process.
func (p *Place) raise(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	p.releaseFoster() // of a start that has failed, as the loop could not know yet
	f, pid, err := guardian.Raise(path, argv, attr, handedOn())
	if err == guardian.ErrKilled {
		err = errors.Join(err, p.Tree.Kill())
	}
	if err != nil {
		return 0, err
	}
	s := p.fostered
	s.Still = func() { p.Tree.Still() } // until they are killed
	p.foster, p.Tree.Foster, s.Foster = f, f, f
	s.Inputs = append(s.Inputs, p.fosterInput(s), supervisor.Input{FD: f.End(), Read: func() (more bool) {
		if f.Bury(); p.foster == f && !f.Barren() { // else it was dismissed, or has ended by itself
			s.End(protocol.CauseKilled, errFoster)
		}
		return false
	}})
	return pid, nil
}

// fosterInput has the loop treat what is sent to the foster as sent to this process, but for what
// this process sends it.
func (p *Place) fosterInput(s *supervisor.Supervisor) supervisor.Input {
	f := p.foster
	return supervisor.Input{FD: f.SentFD(), Read: func() (more bool) {
		sig, from, over := f.Sent()
		if sig != 0 && from != os.Getpid() {
			s.Relay(signals.Signal{Signal: sig, From: from})
		}
		return !over
	}}
}

var errFoster = errors.New("the guardian of the job was killed, or crashed; the job is ended")

// releaseFoster ends the foster if there is nothing left below it. Else it goes on, and ends
// that when this process does.
func (p *Place) releaseFoster() {
	f := p.foster
	if f == nil {
		return
	}
	if empty, err := p.Tree.Empty(); !f.Barren() && (!empty || err != nil) {
		return
	}
	p.fostered.Drop(f.End())
	p.fostered.Drop(f.SentFD())
	p.foster, p.Tree.Foster, p.fostered.Foster = nil, nil, nil
	f.Dismiss()
	f.Wait()
}

// GuardMarked starts the guardian of the fallback, once, for children that exist
// already: it knows them by a mark. The loop marks again for a while, for the sake of
// processes that were being forked, and tries again where there was no guardian to be had.
// If there is none after all, the job is as safe as with the seed.
func (p *Place) GuardMarked(s *supervisor.Supervisor) {
	if p.guardian == nil && p.mark == 0 {
		if settled, _ := p.guardMarked(s); !settled {
			p.markOn(s)
		}
	}
}

// guardMarked does what is still to be done; settled says that nothing was.
func (p *Place) guardMarked(s *supervisor.Supervisor) (settled bool, err error) {
	if p.mark == 0 {
		p.mark = subreaper.NewMark()
	}
	if p.guardian == nil {
		if err = p.startMarked(); err != nil {
			return false, err
		}
		p.WatchGuardian(s)
	}
	defer p.Tree.Still()()
	if settled, err = p.Tree.SetMark(p.mark); err != nil {
		settled, err = p.Tree.SetMark(p.mark)
	}
	return settled, err
}

// startMarked starts the guardian of the processes that bear the mark, at the third try if
// need be: without it a SIGKILL to this process sets them free.
func (p *Place) startMarked() (err error) {
	for range 3 {
		err = p.startGuardian(guardian.Plan{Kill: -1, Keep: [2]int{-1, -1}, Args: [2]string{markArg, p.mark.String()}})
		if err == nil {
			break
		}
	}
	return err
}

// How long marking goes on, in the background.
const (
	markEvery = 5 * time.Millisecond
	markTimes = 200
)

// markOn has the supervisor mark again, until all sleep and bear the mark.
func (p *Place) markOn(s *supervisor.Supervisor) {
	times := 0
	repeat(s, markEvery, func() (more bool) {
		times++
		if p.session == nil && !p.closed && times < markTimes { // else it has entered a cgroup meanwhile
			settled, err := p.guardMarked(s)
			more = !settled || err != nil
		}
		return more
	})
}

// repeat has the loop call do again and again, for as long as there is more to do. Where there
// is no timer to be had it does nothing.
func repeat(s *supervisor.Supervisor, every time.Duration, do func() (more bool)) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return
	}
	interval := unix.NsecToTimespec(int64(every))
	unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: interval, Value: interval}, nil)
	s.Inputs = append(s.Inputs, supervisor.Input{FD: fd, Read: func() (more bool) {
		var ticks [8]byte
		unix.Read(fd, ticks[:])
		if more = do(); !more {
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
	if args[0] == guardian.TreeArg {
		tree := &subreaper.Tree{Reap: reapAll}
		return persist(tree.Kill)
	}
	if args[0] == markArg {
		mark, err := subreaper.ParseMark(args[1])
		if err != nil {
			return err
		}
		return persist(mark.Kill)
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
		err = errors.Join(err, persist(mark.Kill))
	}
	return err
}

// reapAll reaps what children are dead, and says how many: there is no owner to tell.
func reapAll() (n int) {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && err != unix.EINTR {
			return n
		}
		n++
	}
}

// persist tries until there is no error, for some time: what is lacking, memory or a
// descriptor, may be there a little later. What cannot be ended was waited for already.
func persist(try func() error) (err error) {
	for range 100 {
		err = try()
		var alive *subreaper.AliveError
		if err == nil || errors.As(err, &alive) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
