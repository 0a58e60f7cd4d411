package supervisor

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
)

// TestEarly: what came before the main process was there is handed on.
func TestEarly(t *testing.T) {
	s, g := newTest(t)
	s.Terminal = &terminal{}
	start(t, s, shell(g, "exec sleep 100"))
	s.Early = []signals.Signal{{Signal: unix.SIGUSR1}}
	if r := s.Run()[0]; status(r) != int(unix.SIGUSR1) {
		t.Errorf("exit %d", status(r))
	}
}

// TestReached: what the terminal says has reached the main process is not handed on.
func TestReached(t *testing.T) {
	s, g := newTest(t)
	s.Terminal = &terminal{}
	start(t, s, shell(g, "exec sleep 100"))
	s.Early = []signals.Signal{{Signal: unix.SIGINT, Kernel: true}, {Signal: unix.SIGUSR1}}
	if r := s.Run()[0]; status(r) != int(unix.SIGUSR1) {
		t.Errorf("exit %d", status(r))
	}
}

// TestEndedByForce: a signal that was handed on to end the job counts, and so does any of ours.
func TestEndedByForce(t *testing.T) {
	const trapped = "trap 'exit 3' TERM USR1; while :; do sleep 0.01; done"
	for _, tt := range []struct {
		name, script string
		with         func(s *Supervisor, spec *Spec)
		want         bool
	}{
		{"by itself", "exit 3", nil, false},
		{"by a signal", "kill -TERM $$", nil, true},
		{"leftovers", "sleep 100 & exit 3", nil, true},
		{"leftovers that are waited for", "sleep 0.01 & exit 3", func(s *Supervisor, spec *Spec) { spec.Leftovers = protocol.LeftoversWait }, false},
		{"timeout", trapped, func(s *Supervisor, spec *Spec) {
			spec.Timeout, spec.Signal, spec.Grace = 100*time.Millisecond, unix.SIGTERM, time.Minute
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, g := newTest(t)
			spec := shell(g, tt.script)
			if tt.with != nil {
				tt.with(s, &spec)
			}
			j := start(t, s, spec)
			s.Run()
			if j.EndedByForce() != tt.want {
				t.Errorf("by force: %t", !tt.want)
			}
		})
	}
}

// TestForcedByForwarding: the main process is a zombie when it gets the signal, so that it has exited for certain.
func TestForcedByForwarding(t *testing.T) {
	for sig, want := range map[unix.Signal]bool{
		unix.SIGTERM: true, unix.SIGHUP: true, unix.SIGINT: true, unix.SIGQUIT: true, unix.SIGUSR1: false, unix.SIGWINCH: false,
	} {
		s, g := newTest(t)
		j := start(t, s, shell(g, "exit 3"))
		await(t, j.PID(), unix.WEXITED)
		j.forward(signal(sig, 5))
		s.Run()
		if j.EndedByForce() != want {
			t.Errorf("%v: by force: %t", sig, !want)
		}
	}
}
