package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// job is the command line of the job program, as typed.
func job(t *testing.T, prefix []string, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(append(prefix[:len(prefix):len(prefix)], exe), args...), " ")
}

// start types a command line that runs the job program in the foreground, and returns the job's pid.
func (s *session) start(line string) int {
	s.t.Helper()
	s.keys(line + "\n")
	pid := s.seeStarted()
	s.wantForeground(pid)
	return pid
}

// stop presses Ctrl-Z and waits for the shell to see the job stopped.
func (s *session) stop(pid int) {
	s.t.Helper()
	s.keys(ctrlZ)
	s.see("Stopped")
	s.see(prompt)
	s.stopped(pid)
	s.wantForeground(s.pid())
}

// stopped waits for a process to be stopped, which the shell knows only of those that it has started.
func (s *session) stopped(pid int) {
	s.t.Helper()
	s.eventually("the job is stopped", func() bool { return state(pid) == "T" })
}

// interrupt presses Ctrl-C and waits for the shell to be back.
func (s *session) interrupt(pid int) {
	s.t.Helper()
	s.keys(ctrlC)
	s.see(prompt)
	s.gone(pid)
	if got := s.status(); got != "130" {
		s.t.Errorf("exit status after Ctrl-C: %s", got)
	}
}

func TestTerminalInterrupt(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		for range 3 {
			s.interrupt(s.start(job(t, prefix)))
		}
		s.leave()
	})
}

// Ctrl-\ dumps core, were it allowed to.
func TestTerminalQuit(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.command("ulimit -c 0")
		s.keys(strings.Join(append(prefix, "/bin/sh", "-c", `'echo started $$; exec sleep 10000'`), " ") + "\n")
		pid := s.seeStarted()
		s.keys("\x1c")
		s.see(prompt)
		s.gone(pid)
		if got := s.status(); got != "131" {
			t.Errorf("exit status after Ctrl-\\: %s", got)
		}
		s.leave()
	})
}

func TestTerminalStopAndForeground(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		pid := s.start(job(t, prefix))
		for range 3 {
			s.stop(pid)
			if jobs := s.command("jobs"); !strings.Contains(jobs, "Stopped") {
				t.Errorf("jobs: %q", jobs)
			}
			s.keys("fg\n")
			s.see("continued")
			s.wantForeground(pid)
		}
		s.interrupt(pid)
		s.leave()
	})
}

func TestTerminalStopAndBackground(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		pid := s.start(job(t, prefix))
		s.stop(pid)
		s.keys("bg\n")
		s.seeAll("continued", prompt)
		s.wantForeground(s.pid())
		if jobs := s.command("jobs"); !strings.Contains(jobs, "Running") {
			t.Errorf("jobs: %q", jobs)
		}
		// A shell does not continue a job that runs already, so nobody is told that it is in the foreground now. It must
		// be able to read, and be reached by the keys.
		s.keys("fg\n")
		s.eventually("the job is in the foreground", func() bool { return s.foreground() != s.pid() })
		s.must(syscall.Kill(pid, syscall.SIGUSR1))
		s.keys("hello\n")
		s.see("line: hello")
		s.wantForeground(pid)
		s.stop(pid)
		s.keys("fg\n")
		s.see("continued")
		s.interrupt(pid)
		s.leave()
	})
}

func (s *session) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// The same, but the first thing to happen in the foreground is Ctrl-C.
func TestTerminalForegroundInterrupt(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		pid := s.start(job(t, prefix))
		s.stop(pid)
		s.keys("bg\n")
		s.seeAll("continued", prompt)
		s.keys("fg\n")
		s.eventually("the job is in the foreground", func() bool { return s.foreground() != s.pid() })
		s.interrupt(pid)
		s.leave()
	})
}

// A background job that reads is stopped, and goes on when it is brought to the foreground.
func TestTerminalBackgroundRead(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(strings.Join(append(prefix, "cat", "&"), " ") + "\n")
		s.see("Stopped")
		s.wantForeground(s.pid())
		s.keys("fg\nhello\n")
		s.see("hello")
		s.keys(ctrlD)
		s.see(prompt)
		if got := s.status(); got != "0" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// A background job does not take the terminal.
func TestTerminalBackgroundStart(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(job(t, prefix) + " &\n")
		pid := s.seeStarted()
		s.wantForeground(s.pid())
		s.keys("kill $!; wait $!; echo status=$?\n")
		s.see("status=143")
		s.see(prompt)
		s.gone(pid)
		s.leave()
	})
}

func TestTerminalWindowSize(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		pid := s.start(job(t, prefix))
		for _, size := range []unix.Winsize{{Row: 40, Col: 100}, {Row: 17, Col: 33}} {
			s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &size))
			s.see("size " + itoa(size.Row) + "x" + itoa(size.Col))
		}
		s.interrupt(pid)
		s.leave()
	})
}
