package supervisor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// What the ladder from Stop to the last kill does to a job, rung by rung.

var errTest = errors.New("as the test wants it")

// TestStopKill: without a grace period, and by SIGKILL, Stop does not wait.
func TestStopKill(t *testing.T) {
	for _, how := range []struct {
		sig   unix.Signal
		grace time.Duration
	}{{unix.SIGKILL, time.Minute}, {unix.SIGTERM, 0}} {
		s, c := newScripted(t)
		j := start(t, s, c.shell("exec sleep 100"))
		if j.Stop(protocol.CauseKilled, how.sig, how.grace); j.State() != Killing || c.killed != 1 {
			t.Errorf("%v: %v, %d kills", how, j.State(), c.killed)
		}
		s.Run()
	}
}

// TestStopStopped: a job that is stopped acts on the signal nevertheless.
func TestStopStopped(t *testing.T) {
	s, c := newScripted(t)
	j := start(t, s, c.shell("trap 'exit 7' TERM; kill -STOP $$; exit 8"))
	await(t, j.PID(), unix.WSTOPPED)
	j.Stop(protocol.CauseKilled, unix.SIGTERM, 5*time.Second)
	if r := s.Run()[0]; status(r) != 7 || c.killed != 0 || !slices.Equal(c.sent, []unix.Signal{unix.SIGTERM, unix.SIGCONT}) {
		t.Errorf("exit %d, %d kills, sent %v", status(r), c.killed, c.sent)
	}
}

// TestStopEmpties: where the signal empties a containment without a word to us, the
// job does not wait for the rest of its grace period.
func TestStopEmpties(t *testing.T) {
	s, c := newScripted(t)
	gone := false
	c.signal = func(unix.Signal) error { gone = true; return nil }
	c.empty = func() (bool, error) { return gone, nil }
	spec := c.shell("exit 0")
	spec.Leftovers, spec.Timeout, spec.Grace = protocol.LeftoversWait, 10*time.Millisecond, 5*time.Second
	if r := run(t, s, spec); c.killed != 0 || failure(r) != "" {
		t.Errorf("%d kills, %s", c.killed, failure(r))
	}
}

// TestKillEmpties is the same for a kill.
func TestKillEmpties(t *testing.T) {
	s, c := newScripted(t)
	gone := false
	c.kill = func() error { gone = true; return nil }
	c.empty = func() (bool, error) { return gone, nil }
	spec := c.shell("exit 0")
	spec.Leftovers, spec.Timeout = protocol.LeftoversWait, 10*time.Millisecond
	if r := run(t, s, spec); r.WallS >= killEvery.Seconds() || c.killed != 1 {
		t.Errorf("after %g s, %d kills", r.WallS, c.killed)
	}
}

// TestOutside: a main process that has left the containment is ended like one that
// has not.
func TestOutside(t *testing.T) {
	for grace, want := range map[time.Duration]unix.Signal{time.Minute: unix.SIGTERM, 0: unix.SIGKILL} {
		s, c := newScripted(t)
		c.signal = func(unix.Signal) error { return nil }
		c.kill = func() error { return nil }
		c.procs = func() ([]int, error) { return nil, nil }
		spec := c.shell("exec sleep 20")
		spec.Timeout, spec.Grace = 10*time.Millisecond, grace
		if r := run(t, s, spec); status(r) != int(want) {
			t.Errorf("grace %v: ended by %d, want %d", grace, status(r), want)
		}
	}
}

// TestInside: a main process that is in the containment gets a signal from that alone.
func TestInside(t *testing.T) {
	s, c := newScripted(t)
	c.signal = func(unix.Signal) error { return nil }
	spec := c.shell("exec sleep 20")
	spec.Timeout, spec.Grace = 10*time.Millisecond, 20*time.Millisecond
	if r := run(t, s, spec); status(r) != int(unix.SIGKILL) {
		t.Errorf("ended by %d", status(r))
	}
}

// TestNested: a supervisor below us is told by its containment to end, and is neither
// signaled nor killed by us.
func TestNested(t *testing.T) {
	s, c := newScripted(t)
	spec, w := held(t, c.group)
	spec.Argv[2] = "trap 'exit 9' TERM; echo; read x; exit 4"
	c.signal = func(unix.Signal) error { return nil }
	c.kill = func() error { return nil }
	c.procs = func() ([]int, error) { return nil, nil }
	spec.Containment, spec.Nested = c, true
	j := start(t, s, spec)
	j.Stop(protocol.CauseKilled, unix.SIGTERM, time.Minute)
	j.End(protocol.CauseKilled, nil)
	w.Close()
	if r := s.Run()[0]; status(r) != 4 {
		t.Errorf("exit %d: it was signaled", status(r))
	}
}

// TestReapedPID: the pid of a main process that was reaped may be another process's,
// which gets nothing.
func TestReapedPID(t *testing.T) {
	s, c := newScripted(t)
	c.closed = 1 // there is no job that would close it
	c.procs = func() ([]int, error) { return nil, nil }
	other := child(t, "sleep", "100")
	j := &Job{Spec: Spec{Containment: c}, s: s, main: other, place: -1, exit: protocol.NewEvent(protocol.Exited, other, 0, 0)}
	j.signal(unix.SIGKILL)
	j.kill()
	j.forward(signal(unix.SIGKILL, 0))
	if err := unix.Waitid(unix.P_PID, other, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil {
		t.Error(err)
	}
	unix.Kill(other, unix.SIGUSR1) // ends it, if it lives
	await(t, other, unix.WEXITED)
	if e, _ := s.peekChild(unix.P_PID, other); e.Status() != int(unix.SIGUSR1) {
		t.Errorf("ended by %d", e.Status())
	}
}

// TestEndOnce: a job that is being killed, or has ended, is not killed again by End,
// and its first cause stays.
func TestEndOnce(t *testing.T) {
	s, c := newScripted(t)
	j := start(t, s, c.shell("exec sleep 100"))
	j.Stop(protocol.CauseTimeout, unix.SIGWINCH, time.Minute)
	s.End(protocol.CauseOwnerGone, errTest)
	s.End(protocol.CauseKilled, nil)
	r := s.Run()[0]
	s.End(protocol.CauseKilled, errors.New("too late"))
	if c.killed != 1 || r.Cause != protocol.CauseTimeout || failure(r) != errTest.Error() {
		t.Errorf("%d kills, cause %s, %q", c.killed, r.Cause, failure(r))
	}
	if again := j.completeRecord(); failure(again) != errTest.Error() {
		t.Errorf("an end after the end: %q", failure(again))
	}
}

// TestFailures: what goes wrong on the way is in the record, and once.
func TestFailures(t *testing.T) {
	s, c := newScripted(t)
	c.signal = func(sig unix.Signal) error { c.group.Signal(sig); return errTest }
	c.close = func() error { return errors.New("closing") }
	spec := c.shell("exec sleep 100")
	spec.Timeout, spec.Grace = 10*time.Millisecond, time.Minute
	if r := run(t, s, spec); failure(r) != errTest.Error()+"; closing" {
		t.Errorf("%q", failure(r))
	}
}

// TestKillAll: jobs that were killed together are not killed once more, unless that
// has failed.
func TestKillAll(t *testing.T) {
	for err, kills := range map[error]int{nil: 0, errTest: 1} {
		s, c := newScripted(t)
		s.KillAll = func() error { c.group.Signal(unix.SIGKILL); return err }
		j := start(t, s, c.shell("exec sleep 100"))
		s.End(protocol.CauseKilled, nil)
		if c.killed != kills {
			t.Errorf("%v: %d kills, want %d", err, c.killed, kills)
		}
		await(t, j.PID(), unix.WEXITED)
		if j.killAgain(); c.killed != kills {
			t.Errorf("%v: %d kills of the dead", err, c.killed)
		}
		if j.kill(); c.killed != kills+1 {
			t.Errorf("%v: %d kills: one for all is for the jobs of that moment", err, c.killed)
		}
		s.Run()
	}
}

// TestGiveUp: what cannot be killed is named, and neither waited for nor swept.
func TestGiveUp(t *testing.T) {
	s, c := newScripted(t)
	s.Sweep = func() error { t.Error("swept"); return nil }
	c.kill = func() error { return errTest }
	c.empty = func() (bool, error) { return false, nil }
	stays := child(t, "sleep", "100")
	c.procs = func() ([]int, error) { return []int{stays}, nil }
	spec := c.shell("exit 0")
	r := run(t, s, spec)
	if !strings.Contains(failure(r), errTest.Error()) || !strings.Contains(failure(r), "could not be ended") || c.killed != 1 {
		t.Errorf("%q, %d kills", failure(r), c.killed)
	}
	end(stays)
}

// TestGiveUpUnknown: a containment that cannot be read may not be called empty.
func TestGiveUpUnknown(t *testing.T) {
	s, c := newScripted(t)
	c.empty = func() (bool, error) { return true, errTest }
	j := start(t, s, c.shell("exit 0"))
	await(t, j.PID(), unix.WEXITED)
	j.giveUp()
	if r := j.completeRecord(); !strings.Contains(failure(r), "could not be ended") {
		t.Errorf("%q", failure(r))
	}
	unix.Wait4(j.PID(), nil, 0, nil)
}

// TestKillLimit: processes that hang in the kernel bound the wait.
func TestKillLimit(t *testing.T) {
	s, c := newScripted(t)
	c.kill = func() error { return nil }
	c.empty = func() (bool, error) { return false, nil }
	c.procs = func() ([]int, error) { return []int{1}, nil }
	j := start(t, s, c.shell("exit 0"))
	await(t, j.PID(), unix.WEXITED)
	j.kill()
	j.deadline(0) // as expire does
	if j.killAgain(); j.State() != Killing || c.killed != 2 {
		t.Errorf("%v after %d kills", j.State(), c.killed)
	}
	if left := time.Until(j.until); left > killEvery || left <= 0 {
		t.Errorf("killed again in %v", left)
	}
	j.killed = j.killed.Add(-killLimit)
	if j.killAgain(); j.State() != Ended || !slices.Equal(j.stuck, []int{1}) {
		t.Errorf("%v, stuck %v", j.State(), j.stuck)
	}
	s.Run()
	unix.Wait4(j.PID(), nil, 0, nil)
}

// TestKillAgainEmpty: a containment that became empty unheard of is found to be when
// its processes would be killed again.
func TestKillAgainEmpty(t *testing.T) {
	s, c := newScripted(t)
	gone := false
	c.kill = func() error { return nil }
	c.empty = func() (bool, error) { return gone, nil }
	j := start(t, s, c.shell("exit 0"))
	await(t, j.PID(), unix.WEXITED)
	s.collect()
	j.kill()
	s.settle()
	gone = true
	j.killAgain()
	if s.settle(); j.State() != Ended || c.killed != 1 {
		t.Errorf("%v, %d kills", j.State(), c.killed)
	}
}

// TestSweep: a process that has left its containment is ended with the last job.
func TestSweep(t *testing.T) {
	s, g := newTest(t)
	other := &group{t: t}
	stray := child(t, "sleep", "20")
	swept := 0
	s.Sweep = func() error {
		swept++
		for _, j := range s.jobs {
			if j.State() != Ended {
				t.Error("swept before the last job's end")
			}
		}
		return errors.Join(unix.Kill(stray, unix.SIGKILL), errTest)
	}
	start(t, s, shell(g, "exit 0"))
	j := start(t, s, shell(other, "exit 0"))
	records := s.Run()
	if swept != 1 || !strings.Contains(failure(records[0])+failure(records[1]), errTest.Error()) {
		t.Errorf("swept %d times; job %d: %+v", swept, j.PID(), records)
	}
}

// TestNoSweep: without any child there is nothing to sweep.
func TestNoSweep(t *testing.T) {
	s, g := newTest(t)
	s.Sweep = func() error { t.Error("swept"); return nil }
	run(t, s, shell(g, "exit 0"))
}

// TestTransient: only a lack that may pass keeps a job from being given up.
func TestTransient(t *testing.T) {
	for _, err := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN, unix.EINTR} {
		if !isTransient(errors.Join(errTest, err)) {
			t.Error(err)
		}
	}
	for _, err := range []error{nil, errTest, unix.ENOENT, errors.ErrUnsupported} {
		if isTransient(err) {
			t.Error(err)
		}
	}
}
