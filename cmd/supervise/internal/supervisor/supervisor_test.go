package supervisor

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// Endings that depend on what happens before the time is up: that is waited for
// before the loop begins, which looks at the clock.
const (
	deaf      = "timeout, deaf"                 // the job has closed its output
	waitedFor = "timeout of what is waited for" // the main process has ended
)

func TestEndings(t *testing.T) {
	tests := []struct {
		name   string
		script string
		set    func(*Spec)
		cause  protocol.Cause
		status int
		left   int
		kills  int
	}{
		{"exit", "exit 7", nil, protocol.CauseExited, 7, 0, 0},
		{"signal", "kill -KILL $$", nil, protocol.CauseSignaled, 9, 0, 0},
		{"leftovers", "sleep 100 & exit 3", nil, protocol.CauseExited, 3, 1, 1},
		{"leftovers, failing", "sleep 100 & exit 0", func(s *Spec) { s.Leftovers = protocol.LeftoversFail }, protocol.CauseExited, 0, 1, 1},
		{"leftovers, waited for", "exec 3>&-; (sleep 0.1; exit 0) & exit 0", func(s *Spec) { s.Leftovers = protocol.LeftoversWait }, protocol.CauseExited, 0, -1, 0},
		{"timeout", "exec sleep 100", func(s *Spec) { s.Timeout, s.Grace = 10*time.Millisecond, time.Minute }, protocol.CauseTimeout, 15, 0, 0},
		{deaf, "trap '' TERM; exec >&-; sleep 100 & wait", func(s *Spec) { s.Timeout, s.Grace = 10*time.Millisecond, 10*time.Millisecond }, protocol.CauseTimeout, 9, 0, 1},
		{"timeout, no grace", "exec sleep 100", func(s *Spec) { s.Timeout = 10 * time.Millisecond }, protocol.CauseTimeout, 9, 0, 1},
		{waitedFor, "sleep 100 & exit 0", func(s *Spec) { s.Leftovers, s.Timeout = protocol.LeftoversWait, 200*time.Millisecond }, protocol.CauseExited, 0, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, g := newTest(t)
			spec := shell(g, tt.script)
			if tt.set != nil {
				tt.set(&spec)
			}
			told, tell, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer told.Close()
			spec.Attr.Files[1] = tell.Fd()
			_, err = s.Start(spec)
			tell.Close()
			if err != nil {
				t.Fatal(err)
			}
			switch tt.name {
			case deaf:
				io.ReadAll(told)
			case waitedFor:
				waitid(unix.P_PID, g.leader, unix.WEXITED|unix.WNOWAIT, nil)
			}
			r := s.Run()[0]
			if r.Cause != tt.cause || status(r) != tt.status || *r.PID != g.leader {
				t.Errorf("cause %s, exit %d; job %d", r.Cause, status(r), *r.PID)
			}
			if tt.left >= 0 && *r.LeftoversTotal != tt.left || g.killed < tt.kills {
				t.Errorf("%d leftovers, %d kills", *r.LeftoversTotal, g.killed)
			}
			if r.Error != nil || r.Ended.Before(r.Started.Time) || r.Reaped == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	s := &Supervisor{}
	if _, err := s.Start(Spec{Containment: &group{}, Path: "/no/such", Argv: []string{"x"}, Attr: &syscall.ProcAttr{}}); err != unix.ENOENT {
		t.Error(err)
	}
}

func TestForward(t *testing.T) {
	s, g := newTest(t)
	r, w, _ := os.Pipe()
	spec := shell(g, "trap 'exit 5' USR1; echo ready; while :; do sleep 0.01; done")
	spec.Attr.Files[1] = w.Fd()
	if _, err := s.Start(spec); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Read(make([]byte, 6))
	r.Close()
	unix.Kill(os.Getpid(), unix.SIGUSR1)
	if result := s.Run()[0]; status(result) != 5 {
		t.Errorf("exit %d", status(result))
	}
}

// connect gives s an owner at the other end of two pipes.
func connect(t *testing.T, s *Supervisor) (requests, events *os.File) {
	t.Helper()
	in, requests, err1 := os.Pipe()
	events, out, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in, out, requests, events} {
			f.Close()
		}
	})
	s.Owner = &Owner{In: int(in.Fd()), Out: int(out.Fd())}
	return requests, events
}

func TestOwnerGone(t *testing.T) {
	for _, said := range []string{"", "rubbish"} {
		s, g := newTest(t)
		requests, _ := connect(t, s)
		requests.WriteString(said)
		requests.Close()
		r := run(t, s, shell(g, "exec sleep 100"))
		if r.Cause != protocol.CauseOwnerGone || (r.Error == nil) != (said == "") || status(r) != 9 {
			t.Errorf("%q: cause %s, error %v, exit %d", said, r.Cause, r.Error, status(r))
		}
	}
}

// TestMuteOwner: what it says means nothing, and its end what Gone makes of it.
func TestMuteOwner(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	s.Owner.Mute = true
	s.Owner.Gone = func() { g.Signal(unix.SIGINT) }
	requests.WriteString("rubbish")
	requests.Close()
	if r := run(t, s, shell(g, "exec sleep 100")); status(r) != int(unix.SIGINT) || r.Error != nil {
		t.Errorf("exit %d, %v", status(r), r.Error)
	}
}

// TestBackpressure has an owner whose pipe is full: until it reads nothing but the
// first child is reaped, and then every event comes in order.
func TestBackpressure(t *testing.T) {
	const children = 200
	s, g := newTest(t)
	runtime.LockOSThread() // the kernel keeps a list of children for each thread, in the order of birth
	defer runtime.UnlockOSThread()
	_, events := connect(t, s)
	size, err := unix.FcntlInt(uintptr(s.Owner.Out), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(s.Owner.Out, make([]byte, size))
	var pids []int
	for range children {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		waitid(unix.P_PID, pid, unix.WEXITED|unix.WNOWAIT, nil) // in this order
	}
	if _, err := s.Start(Spec{Containment: g}); err != nil {
		t.Fatal(err)
	}
	done := make(chan []int)
	s.Idle = func() { // the loop has done all it can
		if _, err := waitid(unix.P_PID, pids[1], unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil {
			t.Errorf("the second was reaped though the first was not told: %v", err)
		}
		go func() { // ends with the events
			io.ReadFull(events, make([]byte, size))
			var got []int
			var e protocol.Event
			for range children {
				io.ReadFull(events, e[:])
				got = append(got, e.PID())
			}
			done <- got
		}()
	}
	r := s.Run()[0]
	if got := <-done; !slices.Equal(got, pids) {
		t.Errorf("events of %v, want %v", got, pids)
	}
	if r.Reaped != children {
		t.Errorf("%d reaped", r.Reaped)
	}
}

// TestDeaf: who is deaf does not hold up the end.
func TestDeaf(t *testing.T) {
	s, g := newTest(t)
	_, events := connect(t, s)
	events.Close()
	if r := run(t, s, shell(g, "exit 0")); r.Cause != protocol.CauseExited {
		t.Error(r.Cause)
	}
}

// TestRequest signals a child, living or zombie, and nobody else.
func TestRequest(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	if _, err := s.Start(shell(g, "exec sleep 100")); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int32{1, -1, 0, int32(os.Getpid()), 1 << 30, int32(g.leader)} {
		binary.Write(requests, binary.NativeEndian, protocol.Request{PID: pid, Signal: int32(unix.SIGINT)})
	}
	if r := s.Run()[0]; status(r) != int(unix.SIGINT) {
		t.Errorf("ended by %d", status(r))
	}
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

// TestManagerStop: the service manager sends SIGTERM to us and then to the job, whose main process may be dead before we
// read ours; the job was killed nevertheless.
func TestManagerStop(t *testing.T) {
	s, g := newTest(t)
	s.IsManager = func(pid int) bool { return pid == 1 }
	spec := shell(g, "exit 3")
	spec.StopGrace = time.Minute
	j, err := s.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, j.PID(), nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	s.signal(signals.Signal{Signal: unix.SIGTERM, From: 1})
	if r := s.Run()[0]; r.Cause != protocol.CauseKilled || r.Exit == nil || status(r) != 3 {
		t.Errorf("%+v", r)
	}
}

// negligent is a containment whose first Kill misses somebody.
type negligent struct{ *group }

func (n negligent) Kill() error {
	if n.killed++; n.killed == 1 {
		return nil
	}
	return n.Signal(unix.SIGKILL)
}

// TestKillAgain: who was missed is killed nevertheless.
func TestKillAgain(t *testing.T) {
	s, g := newTest(t)
	s.Sweep = func() error { return nil }
	spec := shell(g, "sleep 100 & exit 3")
	spec.Containment = negligent{g}
	if r := run(t, s, spec); g.killed != 2 || r.Error != nil || *r.LeftoversTotal != 1 {
		t.Errorf("killed %d times; %+v", g.killed, r)
	}
}

// A starved group is one that there are no descriptors for, some times.
type starved struct {
	*group
	times int
}

func (s *starved) lacks() bool {
	s.times--
	return s.times >= 0
}

func (s *starved) Empty() (bool, error) {
	if s.lacks() {
		return false, unix.EMFILE
	}
	return s.group.Empty()
}

func (s *starved) Kill() error {
	if s.lacks() {
		return unix.EMFILE
	}
	return s.group.Kill()
}

// TestStarved: a job that cannot be looked at is none that is empty; it is ended, as soon as that can be done.
func TestStarved(t *testing.T) {
	for _, leftovers := range []protocol.Leftovers{protocol.LeftoversKill, protocol.LeftoversWait} {
		s, g := newTest(t)
		s.Sweep = func() error { return nil }
		spec := shell(g, "sleep 100 & exit 3")
		spec.Containment, spec.Leftovers = &starved{g, 3}, leftovers
		r := run(t, s, spec)
		if status(r) != 3 || r.Error == nil || strings.Count(*r.Error, unix.EMFILE.Error()) != 1 {
			t.Errorf("%+v", r)
		}
		if pids, _ := g.Procs(); len(pids) > 0 {
			t.Errorf("%d live", pids)
			g.Kill()
		}
	}
}
