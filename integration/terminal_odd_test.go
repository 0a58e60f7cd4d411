package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// Somebody else stops and continues the job, and not the keyboard.
func TestTerminalStoppedFromOutside(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		pid := s.start(job(t, prefix))
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN} {
			s.must(syscall.Kill(pid, sig))
			s.see("Stopped")
			s.see(prompt)
			s.wantForeground(s.pid())
			s.keys("fg\n")
			s.see("continued")
			s.eventually("the job is in the foreground", func() bool { return s.foreground() != s.pid() })
		}
		s.interrupt(pid)
		s.leave()
	})
}

// A job that is stopped by a signal that its caller ignored or blocked, and that it does not.
func TestTerminalHeldStop(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		for _, sig := range []string{"TTIN", "TSTP"} {
			for _, held := range []string{"--ignore-signal=", "--block-signal="} {
				s := newBox(t).shell()
				line := append(append([]string{"env", held + sig}, prefix...), "env", "--default-signal="+sig)
				if sig == "TTIN" {
					s.keys(strings.Join(append(line, "cat", "&"), " ") + "\n")
				} else {
					s.keys(strings.Join(append(line, "sh", "-c", "'kill -TSTP $$; exec cat'"), " ") + "\n")
				}
				s.see("Stopped")
				s.keys("fg\nhello\n")
				s.see("hello")
				s.keys(ctrlD)
				s.see(prompt)
				s.leave()
			}
		}
	})
}

// A job that reads in a pipeline whose end is not the terminal.
func TestTerminalPipelineReads(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		s := newBox(t).shell()
		s.keys(job(t, prefix) + " | cat\n")
		pid := s.seeStarted()
		for _, text := range []string{"one", "two"} {
			s.must(syscall.Kill(pid, syscall.SIGUSR1))
			s.keys(text + "\n")
			s.see("line: " + text)
			s.stop(pid)
			s.keys("fg\n")
			s.see("continued")
		}
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(pid)
		s.leave()
	})
}

// Supervise below supervise, and below a script below supervise.
func TestTerminalNested(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		supervise := []string{bin.supervise, "run", c.flag(), "--"}
		inner := job(t, supervise)
		for name, line := range map[string]string{
			"supervise": strings.Join(supervise, " ") + " " + inner,
			"script":    fmt.Sprintf("%s bash -c '%s; echo not-reached'", strings.Join(supervise, " "), inner),
			"pipeline":  strings.Join(supervise, " ") + " " + inner + " | cat",
		} {
			t.Run(name, func(t *testing.T) {
				s := newBox(t).shell()
				s.keys(line + "\n")
				pid := s.seeStarted()
				for range 2 {
					s.stop(pid)
					s.keys("fg\n")
					s.see("continued")
				}
				s.must(syscall.Kill(pid, syscall.SIGUSR1))
				s.keys("hello\n")
				s.see("line: hello")
				s.keys(ctrlC)
				if printed := s.see(prompt); strings.Contains(printed, "not-reached") {
					t.Errorf("the script went on: %q", printed)
				}
				s.gone(pid)
				s.leave()
			})
		}
	})
}

// Without a terminal on any of the standard descriptors there still is one: /dev/tty.
func TestTerminalBehindRedirections(t *testing.T) {
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		b := newBox(t)
		s := b.shell()
		s.command("exec 9>&1; mkfifo " + b.dir + "/out; cat " + b.dir + "/out >&9 &")
		s.keys(job(t, prefix) + " </dev/null >" + b.dir + "/out 2>&1\n")
		pid := s.seeStarted()
		s.stop(pid)
		s.keys("fg\n")
		s.see("continued")
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(pid)
		s.command("wait") // for cat
		s.leave()
	})
}
