package supervisor

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// The loop is tested on real processes, held by a process group: a containment
// that is enough for programs which do not try to leave it.

var caught *signals.Caught

func TestMain(m *testing.M) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	var err error
	if caught, err = signals.Catch([]unix.Signal{unix.SIGUSR1}); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// status is the exit status of a job's main process, or the number of the signal that
// ended it; -1: it did not end.
func status(r *protocol.Record) int {
	switch e := r.Exit; {
	case e == nil:
		return -1
	case e.Code != nil:
		return *e.Code
	default:
		sig, _ := signals.Parse(*e.Signal)
		return int(sig)
	}
}

type group struct {
	t      *testing.T
	leader int
	killed int
	closed int
}

func (g *group) Start(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	pid, err := syscall.ForkExec(path, argv, attr)
	g.leader = pid
	return pid, err
}

func (g *group) Kill() error  { g.killed++; return g.Signal(unix.SIGKILL) }
func (g *group) Close() error { g.closed++; return nil }

func (g *group) Signal(sig unix.Signal) error {
	if g.leader > 0 { // 0 would be our own group
		unix.Kill(-g.leader, sig)
	}
	return nil
}

// Empty looks for members that are no zombies.
func (g *group) Empty() (bool, error) {
	pids, err := g.Procs()
	return len(pids) == 0, err
}

func (g *group) Procs() (pids []int, err error) {
	if g.leader == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		var pid, ppid, pgrp int
		var state byte
		if stat, err := os.ReadFile("/proc/" + e.Name() + "/stat"); err == nil {
			if scanStat(stat, &pid, &state, &ppid, &pgrp) && pgrp == g.leader && state != 'Z' && state != 'X' {
				pids = append(pids, pid)
			}
		}
	}
	return pids, err
}

func newTest(t *testing.T) (*Supervisor, *group) {
	g := &group{t: t}
	s := &Supervisor{
		Signals: caught, Forward: true,
		Sweep: func() error { return g.Kill() },
	}
	t.Cleanup(func() {
		if g.closed != 1 {
			t.Errorf("the containment was closed %d times", g.closed)
		}
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
			t.Errorf("a child is left: %v", err)
		}
	})
	return s, g
}

func shell(g *group, script string) Spec {
	return Spec{
		Containment: g, Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Signal: unix.SIGTERM,
		Attr: &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}},
	}
}

func run(t *testing.T, s *Supervisor, spec Spec) *protocol.Record {
	t.Helper()
	if _, err := s.Start(spec); err != nil {
		t.Fatal(err)
	}
	return s.Run()[0]
}

func scanStat(stat []byte, pid *int, state *byte, ppid, pgrp *int) bool {
	end := slices.Index(stat, ')')
	if end < 0 || end+4 > len(stat) {
		return false
	}
	*pid = number(&stat)
	rest := stat[slices.Index(stat, ')')+2:]
	*state, rest = rest[0], rest[2:]
	*ppid = number(&rest)
	rest = rest[1:]
	*pgrp = number(&rest)
	return true
}

// number takes the digits off the front.
func number(b *[]byte) (n int) {
	for len(*b) > 0 && (*b)[0] >= '0' && (*b)[0] <= '9' {
		n = n*10 + int((*b)[0]-'0')
		*b = (*b)[1:]
	}
	return n
}

// A scripted containment is a group in which a test replaces what it wants to see go
// wrong, or not happen; nil: as the group does it.
type scripted struct {
	*group
	signal func(unix.Signal) error
	kill   func() error
	empty  func() (bool, error)
	procs  func() ([]int, error)
	record func(r *protocol.Record, unkilled bool)
	close  func() error
	sent   []unix.Signal
}

func (c *scripted) Signal(sig unix.Signal) error {
	c.sent = append(c.sent, sig)
	if c.signal != nil {
		return c.signal(sig)
	}
	return c.group.Signal(sig)
}

func (c *scripted) Kill() error {
	if c.kill == nil {
		return c.group.Kill()
	}
	c.killed++
	return c.kill()
}

func (c *scripted) Empty() (bool, error) {
	if c.empty != nil {
		return c.empty()
	}
	return c.group.Empty()
}

func (c *scripted) Procs() ([]int, error) {
	if c.procs != nil {
		return c.procs()
	}
	return c.group.Procs()
}

func (c *scripted) Record(r *protocol.Record, unkilled bool) {
	if c.record != nil {
		c.record(r, unkilled)
	}
}

func (c *scripted) Close() error {
	c.group.Close()
	if c.close != nil {
		return c.close()
	}
	return nil
}

// newScripted is newTest with a scripted containment. Nothing is swept up.
func newScripted(t *testing.T) (*Supervisor, *scripted) {
	s, g := newTest(t)
	s.Sweep = func() error { return nil }
	return s, &scripted{group: g}
}

func (c *scripted) shell(script string) Spec {
	spec := shell(c.group, script)
	spec.Containment = c
	return spec
}

// child starts a process in a group of its own, which is in no containment.
func child(t *testing.T, argv ...string) (pid int) {
	t.Helper()
	pid, err := syscall.ForkExec("/bin/sh", append([]string{"sh", "-c", `exec "$@"`, "sh"}, argv...), &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(pid) })
	return pid
}

// end kills a child and waits for it, if that was not done.
func end(pid int) {
	if isChild(pid) {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
	}
}

// await waits until a child has changed its status in this way, and leaves it at that.
func await(t *testing.T, pid, change int) {
	t.Helper()
	if err := unix.Waitid(unix.P_PID, pid, nil, change|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

// start is Start, which has to succeed.
func start(t *testing.T, s *Supervisor, spec Spec) *Job {
	t.Helper()
	j, err := s.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// failure is a record's error; "": none.
func failure(r *protocol.Record) string {
	if r.Error == nil {
		return ""
	}
	return *r.Error
}

// isChild says whether pid is a child of this process.
func isChild(pid int) bool { return (&Supervisor{}).isChild(pid) }
