package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n uint16) string { return fmt.Sprint(n) }

// A job that dies in raw mode leaves a terminal that works.
func TestTerminalModesRestored(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		before := s.modes()
		pid := s.start(job(t, prefix, "raw"))
		if s.modes() == before {
			t.Fatal("the job did not change the modes")
		}
		s.must(syscall.Kill(pid, syscall.SIGKILL))
		s.see(prompt)
		if s.modes() != before {
			t.Errorf("modes: %+v, before: %+v", s.modes(), before)
		}
		if got := s.status(); got != "137" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// The same without a shell that could put things right.
func TestTerminalModesRestoredWithoutShell(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).open(bin.supervise, "run", c.flag(), "--", testBinary(t), "raw")
		pid := s.seeStarted()
		slave := s.keepOpen()
		defer unix.Close(slave)
		raw := s.modes()
		s.must(syscall.Kill(pid, syscall.SIGKILL))
		s.wait().wantCode(137)
		if mode := s.modes(); mode == raw || mode.Lflag&unix.ICANON == 0 || mode.Lflag&unix.ECHO == 0 {
			t.Errorf("modes: %+v, those of the job: %+v", mode, raw)
		}
	})
}

// keepOpen opens the terminal itself: the modes are not kept when nobody has it open.
func (s *session) keepOpen() int {
	s.t.Helper()
	fd, err := unix.IoctlRetInt(s.fd, unix.TIOCGPTPEER)
	s.must(err)
	return fd
}

// A script that is interrupted does not go on with its next line: the shell looks how its child has ended.
func TestTerminalScriptInterrupted(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(fmt.Sprintf("bash -c '%s; echo not-reached'\n", job(t, prefix)))
		pid := s.seeStarted()
		s.keys(ctrlC)
		if printed := s.see(prompt); strings.Contains(printed, "not-reached") {
			t.Errorf("the script went on: %q", printed)
		}
		s.gone(pid)
		if got := s.status(); got != "130" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// A script is stopped as a whole and goes on as a whole.
func TestTerminalScriptStopped(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(fmt.Sprintf("bash -c '%s; echo status=$?'\n", job(t, prefix)))
		pid := s.seeStarted()
		s.stop(pid)
		s.keys("fg\n")
		s.see("continued")
		s.must(syscall.Kill(pid, syscall.SIGTERM))
		s.see("status=143")
		s.see(prompt)
		s.leave()
	})
}

func TestTerminalPipeline(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(job(t, prefix) + " | cat\n")
		pid := s.seeStarted()
		s.stop(pid)
		s.keys("fg\n")
		s.see("continued")
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(pid)
		if got := strings.TrimSpace(s.command("echo ${PIPESTATUS[0]}")); got != "130" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// The job is the last of a pipeline, and its input no terminal.
func TestTerminalPipelineEnd(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys("sleep 10000 | " + job(t, prefix) + "\n")
		pid := s.seeStarted()
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(pid)
		if got := s.status(); got != "130" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// An interactive shell as the job takes the terminal for itself, runs jobs, and gives it back.
func TestTerminalShellInside(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.command(strings.Join(append(prefix, "bash", "--noprofile", "--norc", "--noediting", "-i"), " "))
		s.command("set -b")
		s.keys(job(t, nil) + "\n")
		pid := s.seeStarted()
		s.wantForeground(pid)
		s.keys(ctrlZ)
		s.see("Stopped")
		s.see(prompt)
		s.keys("fg\n")
		s.see("continued")
		s.interrupt(pid)
		s.command("exit 5")
		if got := s.status(); got != "5" {
			t.Errorf("exit status: %s", got)
		}
		s.leave()
	})
}

// Without a shell there is nobody who could continue a stopped job: Ctrl-Z has no effect that lasts.
func TestTerminalWithoutShell(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).open(append(prefix, testBinary(t))...)
		pid := s.seeStarted()
		s.wantForeground(pid)
		s.keys(ctrlZ)
		s.see("^Z") // with it the kernel throws away what was printed and not read yet
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 30}))
		s.see("size 20x30")
		s.must(syscall.Kill(pid, syscall.SIGUSR1))
		s.keys("hello\n")
		s.see("line: hello")
		s.keys(ctrlC)
		o := s.wait()
		if o.signal != syscall.SIGINT {
			o.wantCode(130)
		}
	})
}

// When the terminal goes away, so does the job.
func TestTerminalHangUp(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).open(append(prefix, testBinary(t))...)
		pid := s.seeStarted()
		s.screen.close()
		s.gone(pid)
		o := s.wait()
		if o.signal != syscall.SIGHUP {
			o.wantCode(128 + int(syscall.SIGHUP))
		}
	})
}
