package supervisor

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Stop sends sig to the whole job and gives it time to end.
func (j *Job) Stop(cause protocol.Cause, sig unix.Signal, grace time.Duration) {
	if grace <= 0 {
		sig = unix.SIGKILL
	}
	j.because(cause, sig)
	if sig == unix.SIGKILL {
		j.kill()
		return
	}
	j.forced = true
	j.signal(sig)
	j.signal(unix.SIGCONT) // a stopped process could not act on it
	j.deadline(grace)
	j.enter(Stopping)
	j.s.touch(j)
}

// signal sends sig to the whole job, and to its main process even if that has left
// the containment: `podman run` has the service manager move it. It is our child
// and not reaped, so the pid is its own.
func (j *Job) signal(sig unix.Signal) {
	outside := j.main != 0 && j.exit == nil && !j.Nested && !slices.Contains(j.procs(), j.main)
	j.fail(j.Containment.Signal(sig))
	if outside {
		kernel.kill(j.main, sig)
	}
}

// End kills the job because of something but its main process.
func (j *Job) End(cause protocol.Cause, err error) {
	if j.state == Killing || j.state == Ended {
		return
	}
	j.fail(err)
	j.because(cause, unix.SIGKILL)
	j.kill()
}

// because notes why the job ends, once. Leftovers that are ended do not change what
// became of the main process, unless they are waited for: then they are the job's work,
// which did not come to its end. Sig is the signal that they get.
func (j *Job) because(cause protocol.Cause, sig unix.Signal) {
	switch {
	case j.cause != "":
	case j.exit == nil:
		j.cause = cause
	case j.Leftovers == protocol.LeftoversWait && !j.isOver():
		j.cause, j.cutShort = cause, sig
	}
}

// isOver says whether nothing is left of the job, which has not been settled yet.
func (j *Job) isOver() bool {
	empty, err := j.Containment.Empty()
	return empty && err == nil && !j.strayed()
}

// kill ends every process, now.
func (j *Job) kill() {
	j.forced = true
	if before := j.BeforeKill; before != nil {
		j.BeforeKill = nil
		before()
	}
	j.enter(Killing) // before anything that ends meanwhile is told of
	var err error
	if !j.s.killed {
		err = j.Containment.Kill()
	}
	j.s.trace(TraceEvent{What: "kill", Job: j.main, Error: errorText(err)})
	if j.main != 0 && j.exit == nil && !j.Nested {
		j.killMain()
	}
	j.killed = time.Now()
	j.deadline(killEvery)
	j.fail(err)
	if err != nil && !isTransient(err) { // no cgroup.kill, say, or in the fallback processes that do not go
		j.giveUp()
		return
	}
	j.s.touch(j)
}

// killMain kills the main process, which may be outside of the containment: see signal. It may
// be another user's as well.
func (j *Job) killMain() {
	if c, ok := j.Containment.(Capturer); kernel.kill(j.main, unix.SIGKILL) == unix.EPERM && ok {
		c.Capture(j.main)
	}
}

// Release forgets the job, which goes on without us. The containment is the
// caller's then, and nothing of the job may be in it.
func (j *Job) Release() {
	j.enter(Ended)
	j.until, j.meter, j.tick = time.Time{}, time.Time{}, time.Time{}
	j.s.alarm(j)
	j.s.alive--
	delete(j.s.jobs, j.main)
	delete(j.s.watched, j.watch)
}

// listen asks for hints about the containment, once.
func (j *Job) listen() (listens bool) {
	if j.watch != 0 || j.s.Watch == nil {
		return false
	}
	w, key, err := j.s.Watch(j.Containment)
	if err != nil || w == nil {
		return false // SIGCHLD of the last process does nearly always; killLimit in the rest
	}
	j.s.watcher, j.s.watched[key], j.watch = w, j, key
	return true
}

// deadline has expire called after d, instead of any deadline before; 0: never.
func (j *Job) deadline(d time.Duration) {
	j.until = time.Time{}
	if d > 0 {
		j.until = time.Now().Add(d)
	}
	j.s.alarm(j)
}

// expire handles the deadline of the state.
func (j *Job) expire() {
	switch j.state {
	case Running, Waiting:
		j.Stop(protocol.CauseTimeout, j.Signal, j.Grace)
	case Stopping:
		j.kill()
	case Killing:
		j.killAgain()
	}
}

// killAgain kills the processes that a kill has missed, or gives up.
func (j *Job) killAgain() {
	limit := killLimit
	if j.Nested {
		limit += nestedRoom
	}
	left := limit - time.Since(j.killed)
	empty, err := j.Containment.Empty()
	switch {
	case empty && err == nil && j.isDead():
		if j.s.touch(j); j.HasExited() || j.main == 0 {
			j.deadline(killEvery)
		}
		return // without a deadline: its status is with the kernel until the owner reads
	case left <= 0:
		j.giveUp()
		return
	case !empty || err != nil:
		j.fail(j.Containment.Kill())
		j.s.trace(TraceEvent{What: "kill again", Job: j.main})
	}
	j.deadline(min(killEvery, left))
}

// nestedRoom is how much longer a supervisor below us is waited for than it waits itself.
const nestedRoom = 5 * time.Second

// isDead says whether the main process is, reaped or not.
func (j *Job) isDead() bool {
	if j.main == 0 || j.exit != nil {
		return true
	}
	e, err := j.s.waitid(unix.P_PID, j.main, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || e.PID() != 0
}

// giveUp ends the job though processes of it live on, and names them. The main process may
// be outside.
func (j *Job) giveUp() {
	if !j.HasExited() && j.main != 0 && j.isDead() && j.s.undelivered() {
		j.deadline(killEvery) // its end is to be told first, when the owner reads
		return
	}
	empty, err := j.Containment.Empty()
	if !empty || err != nil {
		j.stuck, j.lost = j.procs(), err != nil
	}
	if !j.isDead() && !slices.Contains(j.stuck, j.main) {
		j.stuck = append(j.stuck, j.main)
	}
	switch {
	case len(j.stuck) > 0:
		j.fail(fmt.Errorf("processes %v could not be ended", j.stuck))
	case !empty || err != nil:
		j.fail(errors.New("processes that cannot be listed could not be ended"))
	}
	j.finish()
}

// finish sweeps up what has left the containment, and closes that, which is when it
// reads its counters.
func (j *Job) finish() {
	j.unkilled = j.state == Running && j.exit != nil && j.exit.Code() == protocol.Exited
	j.enter(Ended)
	j.until, j.meter, j.tick = time.Time{}, time.Time{}, time.Time{}
	j.s.alarm(j)
	if !j.empty {
		j.s.collect() // the dead need no sweep
	}
	if !j.s.childless && j.s.alive == 1 && len(j.stuck) == 0 {
		j.sweep()
	}
	j.s.alive--
	if j.ended.IsZero() { // else it was one of many: see account
		j.ended = time.Now()
	}
	j.makeRecord()
	if c, ok := j.Containment.(io.Closer); ok {
		j.fail(c.Close())
		j.s.trace(TraceEvent{What: "removed", Job: j.main, Error: errorText(j.err)})
	}
	if j.s.Tell != nil {
		delete(j.s.jobs, j.main)
		delete(j.s.watched, j.watch)
		j.s.Tell(Event{Kind: JobEnded, Job: j, Record: j.completeRecord()})
	}
}

// sweep ends what has left the containment. What it cannot end is not waited for.
func (j *Job) sweep() {
	err := j.s.Sweep()
	var alive interface{ Survivors() []int }
	if errors.As(err, &alive) {
		j.stuck = alive.Survivors()
	}
	j.fail(err)
}

// isTransient says whether an error is a lack of descriptors, memory or the like, which
// may pass.
func isTransient(err error) bool {
	for _, errno := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN, unix.EINTR} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
