package containment

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/protocol"
)

// TestCloseTwice: a place gives everything back once, and is then none.
func TestCloseTwice(t *testing.T) {
	dir := ground(t)
	p := choose(t, Options{Cgroup: dir, JobName: "one"})
	if err := p.Guard(); err != nil {
		t.Fatal(err)
	}
	run(t, p, "exit 0")
	for range 2 {
		if err := p.Close(); err != nil || p.InCgroup() || p.JobOf("x") != "" {
			t.Errorf("%v, in a cgroup: %t", err, p.InCgroup())
		}
	}
	if left := below(t, dir); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestGuardian: it lives as long as the place, is no process of the tree, and is
// dismissed: it ends nothing.
func TestGuardian(t *testing.T) {
	dir := ground(t)
	p := choose(t, Options{Cgroup: dir, JobName: "one"})
	if err := p.Guard(); err != nil {
		t.Fatal(err)
	}
	pid := p.guardian.PID()
	if !isAlive(pid) || !slices.Contains(p.Tree.Spare, pid) {
		t.Errorf("guardian %d: alive %t, spared %v", pid, isAlive(pid), p.Tree.Spare)
	}
	if r := run(t, p, "exit 3"); r.Exit == nil || r.Exit.Code == nil || *r.Exit.Code != 3 {
		t.Errorf("%+v", r.Exit)
	}
	if err := p.Close(); err != nil || isAlive(pid) || p.guardian != nil {
		t.Errorf("%v; guardian %d lives on: %t", err, pid, isAlive(pid))
	}
}

// TestNoGuardian: the fallback has none, unless it marks what it holds.
func TestNoGuardian(t *testing.T) {
	defer noChild(t)
	p := Fallback("")
	if err := p.Guard(); err != nil || p.guardian != nil || p.WhyNot() != askedFor {
		t.Errorf("%v, %+v, %s", err, p.guardian, p.WhyNot())
	}
	s := &supervisor.Supervisor{}
	p.GuardMarked(s)
	first := p.guardian
	if p.GuardMarked(s); first == nil || p.guardian != first || p.mark == 0 || len(s.Inputs) != 1 {
		t.Errorf("%+v, %+v; mark %v, %d inputs, of which one is the guardian's end", first, p.guardian, p.mark, len(s.Inputs))
	} // there is nothing to mark again
	if err := p.Close(); err != nil || p.guardian != nil {
		t.Error(err)
	}
}

// TestNoGuardianAfterTheEnd: the loop goes round until the owner has taken all events, and marks
// no more by then.
func TestNoGuardianAfterTheEnd(t *testing.T) {
	defer noChild(t)
	p := Fallback("")
	s := &supervisor.Supervisor{}
	p.markOn(s)
	if len(s.Inputs) != 1 {
		t.Fatalf("%d inputs", len(s.Inputs))
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if more := s.Inputs[0].Read(); more || p.guardian != nil {
		t.Errorf("marks on: %t, guardian %+v", more, p.guardian)
	}
}

// TestGiveUp: of a cgroup that is given up nothing stays, and the place holds by descent.
func TestGiveUp(t *testing.T) {
	dir := ground(t)
	p := choose(t, Options{Cgroup: dir, JobName: "one"})
	if err := p.Guard(); err != nil {
		t.Fatal(err)
	}
	p.Disown([]int{1 << 30})
	if err := p.GiveUp(errors.New("as the test wants it")); err != nil {
		t.Fatal(err)
	}
	if p.InCgroup() || p.Job() != nil || p.Reason() != "as the test wants it" || p.WhyNot() != p.Reason() || len(below(t, dir)) != 0 {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(p.Tree.Spare, []int{1 << 30}) {
		t.Errorf("spared %v", p.Tree.Spare)
	}
	p.Disown(nil)
	p.Tree.Spare = nil
	r := run(t, p, "sleep 100 & exit 3")
	if r.Containment != protocol.ContainmentSubreaper || r.Cgroup != nil || *r.LeftoversTotal != 1 {
		t.Errorf("%+v", r)
	}
}

// TestEnter moves what the fallback holds into a cgroup.
func TestEnter(t *testing.T) {
	dir := ground(t)
	p := Fallback("")
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "100"}, &syscall.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor.Supervisor{}
	p.GuardMarked(s)
	marked := p.guardian.PID()
	p.Tree.Group = pid
	if err := p.Enter(cgroup.Search{Path: dir + "/none"}.Open, "one"); err == nil || p.InCgroup() || p.guardian.PID() != marked {
		t.Fatalf("entered what does not exist: %v", err)
	}
	if err := p.Enter(cgroup.Search{Path: dir}.Open, "one"); err != nil {
		t.Fatal(err)
	}
	if pids, err := p.Procs(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("processes %v, %v, want %d", pids, err, pid)
	}
	if p.Tree.Group != pid {
		t.Error("what was known of the tree is forgotten")
	}
	if isAlive(marked) || !slices.Equal(p.Tree.Spare, []int{p.guardian.PID()}) {
		t.Errorf("the guardian of the fallback lives: %t; spared %v", isAlive(marked), p.Tree.Spare)
	}
	for _, in := range s.Inputs {
		for unix.Poll([]unix.PollFd{{Fd: int32(in.FD), Events: unix.POLLIN}}, -1); in.Read(); {
			unix.Poll([]unix.PollFd{{Fd: int32(in.FD), Events: unix.POLLIN}}, -1)
		}
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	unix.Wait4(pid, nil, 0, nil)
}

// TestJobOf finds a job's name in the text of /proc/PID/cgroup.
func TestJobOf(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t)})
	name := p.Session().Name()
	for text, want := range map[string]string{
		"0::/a/" + name + "/job-1/main\n": "job-1", "0::/a/" + name + "/job-1": "job-1", "0::/a/" + name: "", "0::/a/other/job-1/main": "", "": "",
	} {
		if got := p.JobOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if p.Job() != nil {
		t.Error("there is one job, though many were asked for")
	}
}

// TestWatch: a place is watched as its job is, and another containment not at all.
func TestWatch(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t), JobName: "one"})
	if w, key, err := p.watch(Fallback("")); w != nil || key != 0 || err != nil {
		t.Errorf("%v, %d, %v", w, key, err)
	}
	w, key, err := p.watch(p)
	if w == nil || key == 0 || err != nil {
		t.Errorf("%v, %d, %v", w, key, err)
	}
	if again, other, err := p.watch(p.Job()); again != w || other == 0 || err != nil {
		t.Errorf("%v, %d, %v: not the same watcher", again, other, err)
	}
	if w, key, err := Fallback("").watch(p.Job()); err != nil || key == 0 {
		t.Errorf("%v, %d, %v", w, key, err)
	} else {
		w.(*cgroup.Watcher).Close()
	}
}

// TestConnect: all jobs of a session can be killed at once, the one job by itself.
func TestConnect(t *testing.T) {
	dir := ground(t)
	for name, together := range map[string]bool{"one": false, "": true} {
		p := choose(t, Options{Cgroup: dir, JobName: name})
		var s supervisor.Supervisor
		p.Connect(&s)
		if (s.KillAll != nil) != together || s.Watch == nil || s.Sweep == nil || s.NoChildren != nil {
			t.Errorf("%q: %+v", name, s)
		}
	}
}

// TestDisown: children that are no job's are chores until they end.
func TestDisown(t *testing.T) {
	defer noChild(t)
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "100"}, &syscall.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	p := Fallback("")
	p.Disown([]int{pid})
	s := &supervisor.Supervisor{Signals: caught}
	p.Connect(s)
	if !s.Knows(pid) || s.NoChildren == nil || !s.NoChildren() {
		t.Error("it counts")
	}
	if err := p.Tree.Kill(); err != nil || !isAlive(pid) {
		t.Errorf("%v; it lives: %t", err, isAlive(pid))
	}
	p.Tree.Spare, p.helper = nil, pid
	if !s.NoChildren() {
		t.Error("the helper counts")
	}
	p.Tree.Spare, p.helper = []int{pid}, 0
	p.forget(pid)
	if len(p.Tree.Spare)+len(p.foreign) != 0 || s.NoChildren() {
		t.Errorf("spared %v, foreign %v", p.Tree.Spare, p.foreign)
	}
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, nil, 0, nil)
	if !s.NoChildren() {
		t.Error("there is no child")
	}
}

// TestFallbackKnows: what is known of a tree.
func TestFallbackKnows(t *testing.T) {
	defer noChild(t)
	p := Fallback("")
	if _, _, err := p.CPU(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if held, err := p.Hold(); !held || err != nil {
		t.Errorf("held %t, %v", held, err)
	}
	r := run(t, p, "exit 0")
	if r.Containment != protocol.ContainmentSubreaper || p.Tree.Group != *r.PID {
		t.Errorf("%s, group %d of %d", r.Containment, p.Tree.Group, *r.PID)
	}
}

// TestPlaceKnows: to freeze a cgroup costs more than to kill it.
func TestPlaceKnows(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t), JobName: "one"})
	if held, err := p.Hold(); held || err != nil {
		t.Errorf("held %t, %v", held, err)
	}
	if _, _, err := p.CPU(); err != nil {
		t.Error(err)
	}
	p.reason = "because"
	if r := run(t, p, "exit 0"); r.ContainmentReason == nil || *r.ContainmentReason != "because" {
		t.Errorf("reason %v", r.ContainmentReason)
	}
}

// TestTry goes as far as the birth of a process.
func TestTry(t *testing.T) {
	dir := ground(t)
	p, err := Try(&Options{Cgroup: dir, JobName: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Try(&Options{Cgroup: dir + "/none", JobName: "one"}); err == nil {
		t.Error("tried what does not exist")
	}
}

// TestClean refuses what no guardian is told.
func TestClean(t *testing.T) {
	for _, args := range [][]string{{markArg, "x"}, {"x", "0"}, {"0", "x"}, {"0", "0"}} {
		if Clean(args) == nil {
			t.Errorf("%q: nothing is wrong", args)
		}
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Error(err)
	}
}
