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
