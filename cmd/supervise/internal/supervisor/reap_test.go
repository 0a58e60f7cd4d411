package supervisor

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestChore: of a child that is ours only its end is told, once, and to done alone.
func TestChore(t *testing.T) {
	s, g := newTest(t)
	_, events := connect(t, s)
	idle, over := child(t, "sh", "-c", "kill -STOP $$; exit 1"), 0
	await(t, idle, unix.WSTOPPED)
	s.Chore(idle, func(bool) {
		over++
		g.Signal(unix.SIGTERM)
	})
	if !s.Knows(idle) {
		t.Error("not known")
	}
	j := start(t, s, shell(g, "exec sleep 20"))
	s.Idle = func() {
		if over != 0 {
			t.Error("it was stopped, and said to have ended")
		}
		unix.Kill(idle, unix.SIGCONT)
	}
	r := s.Run()[0]
	if over != 1 || r.Reaped != 1 || status(r) != int(unix.SIGTERM) || s.Knows(idle) {
		t.Errorf("told %d times; job %d: %d reaped, ended by %d", over, j.PID(), r.Reaped, status(r))
	}
	var e protocol.Event
	if n, _ := events.Read(e[:]); n != len(e) || e.PID() != j.PID() {
		t.Errorf("the owner was told of %d", e.PID())
	}
}

// TestChoreOver: done learns whether a job runs.
func TestChoreOver(t *testing.T) {
	for state, want := range map[State]bool{Running: false, Waiting: true, Killing: true} {
		s := &Supervisor{jobs: map[int]*Job{1: {state: state}, 2: {state: Killing}}}
		var got []bool
		s.Chore(7, func(over bool) { got = append(got, over) })
		s.status(protocol.NewEvent(protocol.Exited, 7, 0, 0), nil)
		if !slices.Equal(got, []bool{want}) {
			t.Errorf("%v: over %v", state, got)
		}
	}
}

// TestNoChildren: a chore that outlives the jobs does not keep them.
func TestNoChildren(t *testing.T) {
	s, g := newTest(t)
	stays := child(t, "sleep", "20")
	s.Chore(stays, func(bool) {})
	s.NoChildren = func() bool { return true }
	start(t, s, shell(g, "exit 0"))
	if s.Run(); !isChild(stays) {
		t.Error("the chore was waited for")
	}
	end(stays)
}

// TestJobless: the job without a main process ends with the last child.
func TestJobless(t *testing.T) {
	s, c := newScripted(t)
	c.empty = func() (bool, error) { return true, nil }
	child(t, "true")
	child(t, "sleep", "0.05")
	if _, err := s.Start(Spec{Containment: c}); err != nil {
		t.Fatal(err)
	}
	if r := s.Run()[0]; r.Reaped != 2 || r.Exit != nil || r.Cause != protocol.CauseExited {
		t.Errorf("%d reaped, %+v", r.Reaped, r)
	}
}

// TestJoblessEmpty: without any child it is over at once.
func TestJoblessEmpty(t *testing.T) {
	s, c := newScripted(t)
	c.empty = func() (bool, error) { return true, nil }
	if r := run(t, s, Spec{Containment: c}); r.Reaped != 0 || r.Cause != protocol.CauseExited {
		t.Errorf("%d reaped, %s", r.Reaped, r.Cause)
	}
}

// TestJoblessTimeout: it may also be told to end.
func TestJoblessTimeout(t *testing.T) {
	s, c := newScripted(t)
	pid := child(t, "sleep", "20")
	c.kill = func() error { return unix.Kill(pid, unix.SIGKILL) }
	c.empty = func() (bool, error) { return !isChild(pid), nil }
	if _, err := s.Start(Spec{Containment: c, Timeout: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if r := s.Run()[0]; r.Cause != protocol.CauseTimeout || c.killed == 0 {
		t.Errorf("%s, %d kills", r.Cause, c.killed)
	}
}

// A lone containment is that of a main process without children.
type lone struct{ *group }

func (lone) Empty() (bool, error) { return true, nil }

// TestManyJobs: where jobs are too many to look through, SIGCHLD says which have ended;
// one that it did not tell of is found as well.
func TestManyJobs(t *testing.T) {
	v := newServing(t)
	v.s.Attribute = func(int) *Job { return nil }
	const jobs = scanAllLimit + 50
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range jobs {
		v.start(fmt.Sprintf("read x; exit %d", i), func(s *Spec) {
			s.Containment, s.Attr.Files[0] = lone{s.Containment.(*group)}, r.Fd()
		})
	}
	v.s.Idle = func() { w.Close() } // by now the loop has seen that there is nothing to take
	v.s.Run()
	if len(v.ended) != jobs || len(v.told) != jobs {
		t.Errorf("ended %d, told %d", len(v.ended), len(v.told))
	}
	for script, r := range v.ended {
		if fmt.Sprintf("read x; exit %d", status(r)) != script {
			t.Errorf("%s: exit %d", script, status(r))
		}
	}
}

// TestAttributed: of a child that is no main process it is asked whose it is, while it
// is a zombie; of the others it is not.
func TestAttributed(t *testing.T) {
	v := newServing(t)
	j := v.start("exec sleep 20", nil)
	orphan := child(t, "sh", "-c", "exit 5")
	chore := child(t, "true")
	v.s.Chore(chore, func(bool) {})
	await(t, orphan, unix.WEXITED)
	await(t, chore, unix.WEXITED)
	var asked []int
	v.s.Attribute = func(pid int) *Job {
		if asked = append(asked, pid); !isChild(pid) {
			t.Errorf("%d was reaped before", pid)
		}
		return j
	}
	tell := v.s.Tell
	v.s.Tell = func(e Event) {
		if tell(e); e.Kind == StatusChanged && e.Status.PID() == orphan {
			if e.Job != j || e.Status.Status() != 5 {
				t.Errorf("told of %v as %v", e.Status, e.Job)
			}
			j.End(protocol.CauseKilled, nil)
		}
	}
	v.s.Run()
	if !slices.Equal(asked, []int{orphan}) || v.ended["exec sleep 20"].Reaped != 2 {
		t.Errorf("asked for %v, want %d; reaped %d", asked, orphan, v.ended["exec sleep 20"].Reaped)
	}
}

// TestUnreaped: the end of a job waits for children whose ends are to be told before.
func TestUnreaped(t *testing.T) {
	v := newServing(t)
	times := 0
	v.s.Unreaped = func(jobs []*Job) map[*Job]bool {
		if times++; times > 1 {
			return nil
		}
		if len(v.ended) > 0 {
			t.Error("ended before it was asked")
		}
		for _, j := range jobs {
			v.s.touch(j) // as the end of the child that is missing will
		}
		return map[*Job]bool{jobs[0]: true}
	}
	v.start("exit 3", nil)
	v.s.Run()
	if times != 2 || len(v.ended) != 1 {
		t.Errorf("asked %d times, %d ended", times, len(v.ended))
	}
}

// TestCollectDead takes ends alone, and no more than the owner takes.
func TestCollectDead(t *testing.T) {
	s := &Supervisor{}
	stopped := child(t, "sh", "-c", "kill -STOP $$")
	await(t, stopped, unix.WSTOPPED)
	dead := child(t, "true")
	await(t, dead, unix.WEXITED)
	blocked := true
	s.Blocked = func() bool { return blocked }
	if n := s.CollectDead(); n != 0 || !isChild(dead) {
		t.Errorf("%d, though they cannot be told", n)
	}
	blocked = false
	if n := s.CollectDead(); n != 1 || s.reaped != 1 || isChild(dead) || !isChild(stopped) {
		t.Errorf("%d collected, %d counted", n, s.reaped)
	}
}

// TestCollectDeadAgain: what the owner did not take before is offered again, without the loop.
func TestCollectDeadAgain(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	s := &Supervisor{Owner: &Owner{In: -1, Out: fds[0]}}
	s.Owner.open()
	for event := protocol.NewEvent(protocol.Exited, 1, 0, 0); !s.undelivered(); {
		s.Owner.tell(event, nil)
	}
	dead := child(t, "true")
	await(t, dead, unix.WEXITED)
	if n := s.CollectDead(); n != 0 || !isChild(dead) {
		t.Errorf("%d, though they cannot be told", n)
	}
	for n := 1; n > 0; {
		n, _ = unix.Read(fds[1], make([]byte, 64<<10))
	}
	if n := s.CollectDead(); n != 1 || isChild(dead) {
		t.Errorf("%d collected", n)
	}
}

// TestTouch: only a job that may have ended is looked at.
func TestTouch(t *testing.T) {
	s := &Supervisor{}
	exit := protocol.NewEvent(protocol.Exited, 1, 0, 0)
	s.touch(nil)
	for _, j := range []*Job{{state: Ended}, {main: 1}, {main: 1, exit: exit, state: Ended}} {
		if s.touch(j); len(s.touched) != 0 {
			t.Errorf("%+v", j)
			s.touched = nil
		}
	}
	for _, j := range []*Job{{}, {main: 1, exit: exit}} {
		if s.touch(j); len(s.touched) != 1 {
			t.Errorf("%+v", j)
		}
		s.touched = nil
	}
}

// TestTouchOnce: however many end at once, their job is looked at once, and again if one more ends during the look.
func TestTouchOnce(t *testing.T) {
	s := &Supervisor{}
	looks := 0
	j := &Job{s: s, state: Killing}
	j.Containment = &scripted{empty: func() (bool, error) {
		if looks++; looks == 1 {
			s.touch(j)
		}
		return false, nil
	}}
	for range 1000 {
		s.touch(j)
	}
	if s.settle(); looks != 2 {
		t.Errorf("%d looks", looks)
	}
}

// TestCollectQuiet: without a SIGCHLD few jobs look through all children nevertheless,
// and many do not.
func TestCollectQuiet(t *testing.T) {
	for jobs, want := range map[int]int{1: 1, scanAllLimit + 1: 0} {
		s := &Supervisor{Signals: caught, jobs: map[int]*Job{}, quiet: true}
		for i := range jobs {
			s.jobs[-i-1] = &Job{s: s, main: -i - 1}
		}
		pid := child(t, "true")
		await(t, pid, unix.WEXITED)
		for len(caught.ReadChild()) > 0 {
		}
		if s.collect(); s.reaped != want {
			t.Errorf("%d jobs: %d reaped", jobs, s.reaped)
		}
		end(pid)
	}
}

// TestCollectHeld: what cannot be told is left to the kernel, and known to be there.
func TestCollectHeld(t *testing.T) {
	blocked := true
	s := &Supervisor{Serving: Serving{Blocked: func() bool { return blocked }}}
	pid := child(t, "true")
	await(t, pid, unix.WEXITED)
	if s.collect(); !s.held || s.unreaped() || s.reaped != 0 {
		t.Errorf("held %t, unreaped %t, %d reaped", s.held, s.unreaped(), s.reaped)
	}
	if blocked = false; !s.unreaped() {
		t.Error("there is nothing to take")
	}
	if s.collect(); s.held || s.reaped != 1 || !s.quiet {
		t.Errorf("held %t, %d reaped", s.held, s.reaped)
	}
}
