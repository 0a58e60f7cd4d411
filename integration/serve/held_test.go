package serve

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// holding starts a server that finds signals ignored and blocked.
func (b *box) holding(h testbed.Held, c containment) *server {
	b.t.Helper()
	args, env, err := h.Command(supervise, "serve", "--contain="+string(c))
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env)
	s := b.start(cmd, socket)
	s.hello()
	return s
}

// TestHeld: signals that were ignored or blocked when the server was executed are so in its jobs, and do not end it.
func TestHeld(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, h := range []testbed.Held{
			{},
			{Ignore: testbed.Signals(unix.SIGPIPE, unix.SIGTERM), Block: testbed.Signals(unix.SIGHUP, unix.SIGUSR1)},
			{Ignore: testbed.Signals(unix.SIGCHLD)},
			{Ignore: testbed.AllSignals},
			{Block: testbed.AllSignals},
			{Ignore: testbed.AllSignals, Block: testbed.AllSignals},
		} {
			s := newBox(t).holding(h, c)
			long := s.spawn(nil, "sleep", "1000")
			for range 2 {
				testbed.Each(h.Ignore|h.Block, func(sig syscall.Signal) { s.must(unix.Kill(s.pid(), sig)) })
				j := s.spawn(captured, "cat", "/proc/self/status")
				if got, _, _ := j.output(1); !strings.Contains(got, h.String()) {
					t.Errorf("the job has\n%swant\n%s", got, h)
				}
			}
			long.kill()
			s.end()
		}
	})
}

// TestTerminalStops: SIGTTIN and SIGTTOU stop the server, as any program, and do not concern its jobs.
func TestTerminalStops(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		j := s.shell(captured, "echo ready; sleep 1000")
		j.told("output")
		for _, sig := range []syscall.Signal{unix.SIGTTIN, unix.SIGTTOU} {
			s.must(unix.Kill(s.pid(), sig))
			testbed.Eventually(t, patience, "stopping the server", func() error { return wantStopped(s.pid(), true) })
			s.must(wantStopped(j.pid, false))
			s.must(unix.Kill(s.pid(), unix.SIGCONT))
			s.must(wantStopped(j.pid, false))
		}
		j.kill()
		s.end()
	})
}

func wantStopped(pid int, want bool) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if is := strings.Contains(string(stat), ") T "); err == nil && is != want {
		err = fmt.Errorf("process %d is stopped: %t, want %t", pid, is, want)
	}
	return err
}
