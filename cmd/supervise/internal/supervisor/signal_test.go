package supervisor

import (
	"os"
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
