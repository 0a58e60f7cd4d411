package supervisor

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// unreaped says that there are more statuses to take, and nothing to wait for.
func (s *Supervisor) unreaped() bool { return s.held && !s.undelivered() }

// reap takes statuses and does what follows.
func (s *Supervisor) reap() {
	s.collect()
	s.batchTold()
	s.settle()
}

// collect takes statuses from the kernel for as long as they can be delivered. Held
// says that there are more: where children end as fast as we reap, the loop goes
// round meanwhile.
func (s *Supervisor) collect() {
	if s.hear(); s.quiet && len(s.jobs) > scanAllLimit {
		return
	}
	s.held = true
	for n := 0; n < maxCollect && !s.undelivered(); n++ {
		event, of, err := s.next()
		if err != nil {
			s.held, s.quiet = false, true
			if s.childless = err == unix.ECHILD || s.NoChildren != nil && s.NoChildren(); s.childless {
				s.touch(s.jobs[0])
			}
			return
		}
		s.status(event, of)
	}
}

// still stops a fork bomb whose main process has ended, and which is to be killed, before the
// foster is asked for that: it may have to wait for its turn among a thousand.
func (s *Supervisor) still() {
	if s.Still == nil || !s.Foster.MainDead() {
		return
	}
	for _, j := range s.jobs {
		if j.Leftovers == protocol.LeftoversWait {
			return
		}
	}
	s.Still()
}

// scanAllLimit is how many jobs make a look through all children cost more than what else
// is done at the end of one.
const scanAllLimit = 100

// hear reads some SIGCHLD: not all, which may come as fast as the loop reads them.
func (s *Supervisor) hear() {
	if len(s.hints) > 0 || s.Signals == nil {
		return
	}
	pids := s.Signals.ReadChild()
	if foster := s.Foster.PID(); foster > 0 && slices.Contains(pids, foster) {
		s.Foster.Continue() // it was stopped: its death has no signal
	}
	s.quiet = s.quiet && len(pids) == 0
	if s.Attribute != nil {
		s.hints = pids
	}
}

// next takes a status, of any child in the kernel's order. For that it looks through
// all of them, which takes its time where there are thousands; so if there are many
// jobs, those of which SIGCHLD told come first. It may have told of one for many.
func (s *Supervisor) next() (e *protocol.Event, of *Job, err error) {
	if s.Attribute == nil {
		e, err = s.waitChild(unix.P_ALL, 0, &s.usage)
		return e, nil, err
	}
	for ; len(s.hints) > 0; s.hear() {
		pid := s.hints[0]
		s.hints = s.hints[1:]
		if e, of, err = s.take(pid); err == nil {
			return e, of, nil
		}
	}
	for {
		if e, err = s.peekChild(unix.P_ALL, 0); err != nil {
			return nil, nil, err
		}
		if e, of, err = s.take(e.PID()); err != errNone { // else it was taken back: SIGCONT
			return e, of, err
		}
	}
}

// take takes a status of one child, if there is any. Attribute is asked before that for
// the job of a child that is no main process, while the pid is still the child's.
func (s *Supervisor) take(pid int) (e *protocol.Event, of *Job, err error) {
	if s.Attribute != nil && !s.Knows(pid) {
		if _, err := s.peekChild(unix.P_PID, pid); err != nil {
			return nil, nil, err
		}
		of = s.Attribute(pid)
	}
	e, err = s.waitChild(unix.P_PID, pid, &s.usage)
	return e, of, err
}

// Knows says whether a child is a main process, or a chore.
func (s *Supervisor) Knows(pid int) bool { return s.jobs[pid] != nil || s.chores[pid] != nil }

// CollectDead is collect for ends alone: not to be told of children that we stop
// ourselves. It says how many there were. The caller may be at work for long, so what the owner
// did not take before is offered again.
func (s *Supervisor) CollectDead() (n int) {
	if s.Owner != nil {
		s.Owner.flush()
	}
	for !s.undelivered() && n < 10*maxCollect {
		event, err := s.waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG, &s.usage)
		if err != nil || event.PID() == 0 {
			break
		}
		s.status(event, nil)
		n++
	}
	return n
}

// maxCollect bounds what is done before we look at anything else.
const maxCollect = 1000

// status handles one change of the status of a child: a main process, a process of the
// job that is given, or one of which the job is not known.
func (s *Supervisor) status(e *protocol.Event, of *Job) {
	if done := s.chores[e.PID()]; done != nil {
		if e.Code().Ended() {
			delete(s.chores, e.PID())
			done(!s.anyRuns())
		}
		return
	}
	j := s.jobs[e.PID()]
	if j != nil && j.main != 0 && e.Code().Ended() {
		s.hidePeak(&s.usage)
	}
	if s.Owner != nil {
		s.Owner.tell(e, &s.usage)
	}
	s.traceStatus(cmp.Or(j, of), e)
	if s.Tell != nil {
		s.Tell(Event{Kind: StatusChanged, Job: cmp.Or(j, of), Status: e, Usage: &s.usage})
	}
	switch {
	case e.Code().Ended():
		s.ended(j, of, e)
	case e.Code() == protocol.Stopped && j != nil && s.Terminal != nil:
		s.Terminal.Suspend(j.main, unix.Signal(e.Status()))
	}
}

// ended notes the end of a child: the main process of j, or, if that is nil, a
// descendant. Settle decides what follows, when all there is was reaped.
func (s *Supervisor) ended(j, of *Job, e *protocol.Event) {
	s.reaped++
	s.used.add(&s.usage)
	switch {
	case j != nil && j.main != 0:
		usage := s.usage
		j.exit, j.usage = e, &usage
	case of != nil:
		j = of
	}
	if j != nil {
		j.reaped++
		s.touch(j)
		return
	}
	for _, j := range s.jobs { // it may have been the last of any
		s.touch(j)
	}
}

// touch has a job looked at by settle, once for all that touch it before; nil: none.
func (s *Supervisor) touch(j *Job) {
	if j != nil && !j.touched && j.state != Ended && (j.exit != nil || j.main == 0) {
		j.touched = true
		s.touched = append(s.touched, j)
	}
}

// hinted handles hints that containments may have become empty.
func (s *Supervisor) hinted(keys []int) {
	for _, key := range keys {
		s.touch(s.watched[key])
	}
	s.settle()
}

// settle moves on every job that may have become empty. Children that died before that
// are reported before the end of the job, and another job may wait for one of them. A
// child on the way from its cgroup to being a zombie touches the job again.
func (s *Supervisor) settle() {
	for len(s.touched) > 0 {
		batch := s.touched
		s.touched = nil
		for _, j := range batch {
			j.touched = false // what touches it from here on may come after the look
		}
		batch = slices.DeleteFunc(batch, func(j *Job) bool { return !j.look() })
		unreaped := s.lookAtEmpty(batch)
		batch = slices.DeleteFunc(batch, func(j *Job) bool { return j.empty && unreaped[j] })
		s.account(batch)
		for _, j := range batch {
			j.settle()
		}
	}
}

// lookAtEmpty reaps the children that died before these jobs became empty, and sees whether
// processes have left their containments. It returns the jobs of which it could not reap
// all.
func (s *Supervisor) lookAtEmpty(batch []*Job) (unreaped map[*Job]bool) {
	var empty []*Job
	for _, j := range batch {
		if j.empty {
			empty = append(empty, j)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	s.collect()
	if s.Strayed != nil {
		for i, is := range s.Strayed(empty) {
			empty[i].empty = !is
		}
		empty = slices.DeleteFunc(empty, func(j *Job) bool { return !j.empty })
	}
	if s.Unreaped == nil {
		return nil
	}
	return s.Unreaped(empty)
}

// accountTogether is how many jobs make it worthwhile to read their counters together.
const accountTogether = 8

// account has the counters read of those jobs of a batch that settle is about to finish.
func (s *Supervisor) account(batch []*Job) {
	if s.Account == nil || len(batch) < accountTogether {
		return
	}
	var ending []*Job
	now := time.Now()
	for _, j := range batch {
		if j.empty && j.state > Waiting && j.ended.IsZero() { // else a look inside of this one has ended it
			j.ended = now
			ending = append(ending, j)
		}
	}
	s.Account(ending)
}
