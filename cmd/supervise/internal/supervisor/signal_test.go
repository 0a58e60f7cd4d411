package supervisor

import (
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

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

func signal(sig unix.Signal, from int) signals.Signal {
	return signals.Signal{Signal: sig, From: from}
}

// TestStoppedBy: SIGTERM starts a grace period of the job, which is the manager's own
// only if the manager has sent it: the kernel, pid 0, is no manager.
func TestStoppedBy(t *testing.T) {
	const manager, long = 1, time.Minute
	tests := []struct {
		name       string
		sig        signals.Signal
		state      State
		term, stop time.Duration
		want       time.Duration // 0: it is handed on
	}{
		{"handed on", signal(unix.SIGTERM, 5), Running, 0, 0, 0},
		{"from the manager, who has no grace", signal(unix.SIGTERM, manager), Running, 0, 0, 0},
		{"from the manager", signal(unix.SIGTERM, manager), Running, 0, long, long},
		{"from the kernel", signal(unix.SIGTERM, 0), Running, 0, long, 0},
		{"from anyone", signal(unix.SIGTERM, 5), Running, 0, long, 0},
		{"from anyone, with a grace period", signal(unix.SIGTERM, 5), Running, 2 * long, long, 2 * long},
		{"from the kernel, with a grace period", signal(unix.SIGTERM, 0), Running, 2 * long, long, 2 * long},
		{"waiting", signal(unix.SIGTERM, manager), Waiting, 0, long, long},
		{"stopping already", signal(unix.SIGTERM, manager), Stopping, long, long, 0},
		{"another signal", signal(unix.SIGINT, manager), Running, long, long, 0},
	}
	for _, tt := range tests {
		s := &Supervisor{IsManager: func(pid int) bool { return pid == manager || pid == 0 }}
		c := &scripted{group: &group{t: t}}
		j := &Job{Spec: Spec{Containment: c, TermGrace: tt.term, StopGrace: tt.stop}, s: s, state: tt.state, place: -1}
		stopped := j.stoppedBy(tt.sig)
		if stopped != (tt.want > 0) {
			t.Errorf("%s: stopped %t", tt.name, stopped)
		}
		if left := time.Until(j.until); stopped && (left > tt.want || left < tt.want-long/2 || j.cause != protocol.CauseKilled) {
			t.Errorf("%s: %v left, cause %s", tt.name, left, j.cause)
		}
		if tt.want == 0 && j.state != tt.state {
			t.Errorf("%s: %v", tt.name, j.state)
		}
	}
	c := &scripted{group: &group{t: t}}
	j := &Job{Spec: Spec{Containment: c, Signal: unix.SIGQUIT, TermGrace: long}, s: &Supervisor{}, place: -1}
	if j.stoppedBy(signal(unix.SIGTERM, 5)); !slices.Equal(c.sent, []unix.Signal{unix.SIGQUIT, unix.SIGCONT}) {
		t.Errorf("a job that is to be asked with QUIT was sent %v", c.sent)
	}
	j = &Job{Spec: Spec{StopGrace: long}, s: &Supervisor{}, place: -1}
	if j.stoppedBy(signal(unix.SIGTERM, manager)) {
		t.Error("nothing is known of a manager")
	}
}

// TestForwardToNobody: when the main process has gone, a signal that asks for the end ends
// what is waited for; another that a process may catch is for that.
func TestForwardToNobody(t *testing.T) {
	for sig, want := range map[unix.Signal]State{
		unix.SIGTERM: Killing, unix.SIGINT: Killing, unix.SIGUSR1: Waiting, unix.SIGCONT: Waiting, unix.SIGWINCH: Waiting, unix.SIGCHLD: Waiting,
		unix.SIGURG: Waiting, unix.SIGTSTP: Waiting, unix.SIGTTIN: Waiting, unix.SIGTTOU: Waiting,
	} {
		c := &scripted{group: &group{t: t}}
		j := &Job{Spec: Spec{Containment: c}, s: &Supervisor{}, state: Waiting, place: -1}
		j.exit = protocol.NewEvent(protocol.Exited, 1, 0, 0)
		if j.forward(signal(sig, 0)); j.state != want {
			t.Errorf("%v: %v, want %v", sig, j.state, want)
		}
		j.state = Stopping
		if j.forward(signal(sig, 0)); j.state != Stopping {
			t.Errorf("%v, stopping: %v", sig, j.state)
		}
	}
}

// A recorder of what a terminal is asked.
type terminal struct {
	suspended, resumed []int
	then               func(pid int)
}

func (r *terminal) Suspend(pid int, sig unix.Signal) {
	r.suspended = append(r.suspended, pid, int(sig))
	r.then(pid)
}

func (r *terminal) Resume(pid int) { r.resumed = append(r.resumed, pid) }

func (r *terminal) Reached(pid int, s signals.Signal) bool { return s.Kernel }

// TestTerminal: it is told when the main process was stopped, and no other child, and
// when we were continued.
func TestTerminal(t *testing.T) {
	s, g := newTest(t)
	other := child(t, "sh", "-c", "kill -STOP $$")
	await(t, other, unix.WSTOPPED)
	r := &terminal{then: func(pid int) {
		s.signal(signal(unix.SIGWINCH, 0))
		s.signal(signal(unix.SIGCONT, 0))
		end(other)
	}}
	s.Terminal = r
	j := start(t, s, shell(g, "kill -TSTP $$; exit 3"))
	if got := s.Run()[0]; status(got) != 3 {
		t.Errorf("exit %d", status(got))
	}
	if !slices.Equal(r.suspended, []int{j.PID(), int(unix.SIGTSTP)}) || !slices.Equal(r.resumed, []int{j.PID()}) {
		t.Errorf("suspended %v, resumed %v", r.suspended, r.resumed)
	}
	s.status(protocol.NewEvent(protocol.Continued, j.PID(), 0, int(unix.SIGCONT)), nil)
	if len(r.suspended) != 2 {
		t.Error("suspended by what continues")
	}
	s.signal(signal(unix.SIGCONT, 0))
	if len(r.resumed) != 1 {
		t.Error("resumed what has ended")
	}
}

// TestSecondSignal: an owner that takes no events cannot keep us from ending at the
// second signal.
func TestSecondSignal(t *testing.T) {
	s, g := newTest(t)
	s.Forward = false
	connect(t, s)
	fill(t, s.Owner.Out)
	start(t, s, shell(g, "exec sleep 100"))
	s.Idle = func() { // the job is killed, and its end cannot be told
		if s.alive != 0 || !s.undelivered() {
			t.Errorf("%d jobs are alive, undelivered %t", s.alive, s.undelivered())
		}
		unix.Kill(os.Getpid(), unix.SIGUSR1)
	}
	unix.Kill(os.Getpid(), unix.SIGUSR1)
	if r := s.Run()[0]; r.Cause != protocol.CauseKilled || status(r) != int(unix.SIGKILL) {
		t.Errorf("%s, exit %d", r.Cause, status(r))
	}
}

// TestSignalZombie: a signal for a main process that is a zombie already goes to what is
// left of the job instead.
func TestSignalZombie(t *testing.T) {
	s, g := newTest(t)
	spec := shell(g, "sleep 100 & exit 3")
	spec.Leftovers = protocol.LeftoversWait
	j := start(t, s, spec)
	await(t, j.PID(), unix.WEXITED)
	s.signal(signal(unix.SIGINT, 0))
	if j.State() < Killing {
		t.Errorf("the signal is lost: %v", j.State())
		j.kill()
	}
	s.Run()
}

// TestRelay: what was sent to a process that stands for this one is as if it were sent here; by its death all jobs end.
func TestRelay(t *testing.T) {
	for sig, want := range map[unix.Signal]protocol.Cause{unix.SIGKILL: protocol.CauseKilled, unix.SIGTERM: protocol.CauseSignaled} {
		s, g := newTest(t)
		s.Forward = true
		if _, err := s.Start(shell(g, "exec sleep 1000")); err != nil {
			t.Fatal(err)
		}
		s.Relay(signals.Signal{Signal: sig, From: os.Getppid()})
		if r := s.Run()[0]; r.Cause != want || r.Exit == nil || r.Exit.Signal == nil || *r.Exit.Signal != signals.Name(sig) {
			t.Errorf("%v: cause %s, %+v", sig, r.Cause, r.Exit)
		}
	}
	// A front end is told of both.
	var told []unix.Signal
	s := &Supervisor{Tell: func(e Event) { told = append(told, e.Signal.Signal) }}
	s.Relay(signals.Signal{Signal: unix.SIGTERM})
	s.Relay(signals.Signal{Signal: unix.SIGKILL})
	if !slices.Equal(told, []unix.Signal{unix.SIGTERM, unix.SIGKILL}) {
		t.Errorf("told %v", told)
	}
}

// TestStopFirst: of what came together SIGTERM is heard first, since what it ends may have ended meanwhile; the rest keeps its order.
func TestStopFirst(t *testing.T) {
	list := []signals.Signal{signal(unix.SIGCONT, 1), signal(unix.SIGUSR1, 2), signal(unix.SIGTERM, 1), signal(unix.SIGTSTP, 3)}
	want := []signals.Signal{signal(unix.SIGTERM, 1), signal(unix.SIGCONT, 1), signal(unix.SIGUSR1, 2), signal(unix.SIGTSTP, 3)}
	if got := stopFirst(list); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	s := &Supervisor{IsManager: func(pid int) bool { return pid == 1 }, jobs: map[int]*Job{1: {}}}
	for _, tt := range []struct {
		list []signals.Signal
		want bool
	}{
		{[]signals.Signal{signal(unix.SIGCONT, 1)}, true},
		{[]signals.Signal{signal(unix.SIGCONT, 1), signal(unix.SIGTERM, 1)}, false},
		{[]signals.Signal{signal(unix.SIGCONT, 2)}, false}, // no manager
		{[]signals.Signal{signal(unix.SIGUSR1, 1)}, false},
		{nil, false},
	} {
		if got := s.stopBegins(tt.list); got != tt.want {
			t.Errorf("%v: %t", tt.list, got)
		}
	}
}
