package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// ptyLine is the command line of a job on a terminal of its own, as typed.
func ptyLine(c containment, flags, command string) string {
	return fmt.Sprintf("%s run --pty %s %s -- %s", bin.supervise, c.flag(), flags, command)
}

// isRaw says whether the keys of the terminal are bytes, and nothing else.
func (s *session) isRaw() bool {
	return s.modes().Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0
}

// wantModes checks the modes after a job.
func (s *session) wantModes(before unix.Termios) {
	s.t.Helper()
	if now := s.modes(); now != before {
		s.t.Errorf("modes: %+v, before: %+v", now, before)
		unix.IoctlSetTermios(s.fd, unix.TCSETS, &before)
	}
}

// startPTY types a command line whose job prints "started PID" on its own terminal, and waits until the one around is raw.
func (s *session) startPTY(line string) (pid int) {
	s.t.Helper()
	s.keys(line + "\n")
	pid = s.seeStarted()
	s.eventually("the terminal is raw", s.isRaw)
	return pid
}

// TestPTYKeys: keys go to the job's terminal, Ctrl-C and Ctrl-D as what they mean there, and its modes are those of the
// terminal around.
func TestPTYKeys(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		before := s.modes()
		pid := s.startPTY(ptyLine(c, "", job(t, nil)))
		s.must(syscall.Kill(pid, syscall.SIGUSR1))
		s.keys("hello\n")
		s.see("line: hello")
		s.keys(ctrlC)
		s.see(prompt)
		s.wantModes(before)
		if got := s.status(); got != "130" {
			t.Errorf("status %s", got)
		}
		s.keys(ptyLine(c, "", "sh -c 'echo up; cat; echo over'") + "\n")
		s.see("up")
		s.keys("a\n" + ctrlD)
		s.see("a\r\nover")
		s.see(prompt)
		s.wantModes(before)

		s.command("stty erase ^A")
		if got := s.command(ptyLine(c, "", "stty -a")); !strings.Contains(got, "erase = ^A") {
			t.Errorf("the job's modes are %q", got)
		}
		s.leave()
	})
}

// TestPTYWindow: the size is passed on at the start, and when it changes.
func TestPTYWindow(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		size := unix.Winsize{Row: 40, Col: 100}
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &size))
		if got := s.command(ptyLine(c, "", "stty size")); !strings.Contains(got, "40 100") {
			t.Errorf("size %q", got)
		}
		if got := s.command(ptyLine(c, "", "stty size") + " </dev/null"); !strings.Contains(got, "40 100") {
			t.Errorf("size, without the terminal as input: %q", got)
		}
		s.startPTY(ptyLine(c, "", job(t, nil)))
		for _, size := range []unix.Winsize{{Row: 50, Col: 90}, {Row: 17, Col: 33}} {
			s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &size))
			s.see("size " + itoa(size.Row) + "x" + itoa(size.Col))
		}
		s.keys(ctrlC)
		s.see(prompt)

		// A size that was given stays: the job hears of nothing.
		s.startPTY(ptyLine(c, "--pty=30x60", job(t, nil)))
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &size))
		s.see("size 30x60") // SIGWINCH is handed on
		s.keys(ctrlC)
		s.see(prompt)
		s.leave()
	})
}

// ptyEnds are ways for a job on a raw terminal to end. INNER is the process that supervises the job.
var ptyEnds = []struct{ name, flags, script string }{
	{"exit", "", `exit 3`},
	{"timeout", "--timeout=0.3", `exec sleep 10000`},
	{"timeout and grace", "--timeout=0.2 --grace=0.2", `trap '' TERM; sleep 10000; sleep 10000`},
	{"main killed", "", `kill -KILL $$`},
	{"leftovers", "--leftovers=fail", `trap '' HUP; sleep 10000 & exit 0`},
	{"SIGTERM", "", `kill -TERM $PARENT; exec sleep 10000`},
	{"SIGHUP", "", `kill -HUP $PARENT; exec sleep 10000`},
	{"SIGINT", "", `kill -INT $PARENT; exec sleep 10000`},
	{"SIGQUIT", "", `ulimit -c 0; kill -QUIT $PARENT; exec sleep 10000`},
	{"SIGUSR1", "", `kill -USR1 $PARENT; exec sleep 10000`},
	{"SIGALRM", "", `kill -ALRM $PARENT; exec sleep 10000`},
	{"not found", "", ``},
}

// TestPTYModesRestored: whatever ends the job, the terminal around is as it was.
func TestPTYModesRestored(t *testing.T) {
	for _, end := range ptyEnds {
		t.Run(end.name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				b := newBox(t)
				s := b.shell()
				before := s.modes()
				line := ptyLine(c, end.flags, "sh -c 'read x; "+strings.ReplaceAll(end.script, "'", `'\''`)+"'")
				if end.script == "" {
					line = ptyLine(c, "", "./none")
				}
				// No shell is between, which would put its own modes back.
				s.must(os.WriteFile(b.dir+"/script", []byte("PARENT=$$; export PARENT; exec "+line+"\n"), 0o644))
				s.keys(`sh -c 'sh ` + b.dir + "/script; echo \"over\" $?; read x'\n")
				if end.script != "" {
					s.eventually("the terminal is raw", s.isRaw)
					s.keys("\r")
				}
				s.see("over")
				s.wantModes(before)
				s.keys("\n")
				s.see(prompt)
				s.leave()
			})
		})
	}
}

// TestPTYModesGuardianKilled: in the fallback also when the guardian is killed, by which the job ends.
func TestPTYModesGuardianKilled(t *testing.T) {
	s := newBox(t).shell()
	before := s.modes()
	pid := s.startPTY(ptyLine(inSubreaper, "", job(t, nil)))
	guardian := parentOf(pid)
	if name := comm(guardian); name != "guardian" {
		t.Fatalf("the job's parent is %s", describe([]int{guardian}))
	}
	s.must(syscall.Kill(guardian, syscall.SIGKILL))
	s.see("the job is ended")
	s.see(prompt)
	s.wantModes(before)
	s.leave()
}

func parentOf(pid int) (parent int) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	var state string
	fmt.Sscan(rest, &state, &parent)
	return parent
}

// TestPTYStopped: a stop stops the copying; in the foreground again the terminal is raw, and the job has gone on.
func TestPTYStopped(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				s := newBox(t).shell()
				before := s.modes()
				pid := s.startPTY(ptyLine(c, "", job(t, nil)))
				for range 3 {
					outer := s.foreground()
					s.must(syscall.Kill(outer, sig))
					s.see("Stopped")
					s.see(prompt)
					s.wantModes(before)
					s.keys("fg\n")
					s.eventually("the terminal is raw", s.isRaw)
					s.must(syscall.Kill(pid, syscall.SIGUSR1))
					s.keys("hello\n")
					s.see("line: hello")
				}
				s.keys(ctrlC)
				s.see(prompt)
				s.wantModes(before)
				s.leave()
			})
		})
	}
}

// TestPTYShell: a shell in the job has job control of its own.
func TestPTYShell(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		before := s.modes()
		s.keys("PS1='inner> ' " + ptyLine(c, "", "/bin/bash --noprofile --norc --noediting -i") + "\n")
		s.see("inner> ")
		s.keys(job(t, nil) + "\n")
		pid := s.seeStarted()
		for range 3 {
			s.keys(ctrlZ)
			s.see("Stopped")
			s.see("inner> ")
			s.stopped(pid)
			s.keys("jobs\n")
			s.see("Stopped")
			s.see("inner> ")
			s.keys("fg\n")
			s.see("continued")
		}
		s.keys(ctrlC)
		s.see("inner> ")
		s.gone(pid)
		s.keys("sleep 10000 & \n")
		s.see("inner> ")
		s.keys("exit 5\n")
		s.see(prompt)
		s.wantModes(before)
		if got := s.status(); got != "5" {
			t.Errorf("status %s", got)
		}
		s.leave()
	})
}

// TestPTYAround: in a script and in a pipeline, whose other end has the terminal as well, and in the background, where the
// terminal is left alone.
func TestPTYAround(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		before := s.modes()
		for _, line := range []string{
			ptyLine(c, "", "tty") + " | cat",
			"sh -c '" + ptyLine(c, "", "tty") + "; true'",
			"echo x | " + ptyLine(c, "", "tty"),
			ptyLine(c, "", "tty") + " </dev/null & wait",
		} {
			if got := s.command(line); !strings.Contains(got, "/dev/pts/") {
				t.Errorf("%s: %q", line, got)
			}
			s.wantModes(before)
		}
		s.leave()
	})
}

// TestPTYBackground: in the background the terminal is the shell's, and the job runs on. In the foreground it has the keys,
// whether it was stopped or not.
func TestPTYBackground(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		before := s.modes()
		s.keys(ptyLine(c, "", job(t, nil)) + " &\n")
		pid := s.seeStarted()
		for range 3 {
			s.wantModes(before)
			for range 3 {
				if jobs := s.command("jobs"); !strings.Contains(jobs, "Running") {
					t.Fatalf("jobs: %q", jobs)
				}
			}
			s.keys("fg\n")
			s.eventually("it is in the foreground", func() bool { return s.foreground() != s.pid() })
			s.must(syscall.Kill(pid, syscall.SIGUSR1))
			s.keys("hello\n")
			s.see("line: hello")
			s.eventually("the terminal is raw", s.isRaw)
			s.must(syscall.Kill(pid, syscall.SIGUSR1))
			s.keys("again\n")
			s.see("line: again")
			s.must(syscall.Kill(s.foreground(), syscall.SIGTSTP))
			s.see("Stopped")
			s.see(prompt)
			s.keys("bg\n")
			s.see(prompt)
		}
		s.command("kill %1; wait")
		s.gone(pid)
		s.wantModes(before)
		s.leave()
	})
}

// TestPTYInterruptsScript: Ctrl-C at a terminal that is not the input ends the job, and the script that it is in.
func TestPTYInterruptsScript(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).shell()
		s.keys(`bash -c "` + ptyLine(c, "", "sh -c 'echo up; exec sleep 10000'") + ` </dev/null; echo went on"` + "\n")
		s.see("up")
		s.keys(ctrlC)
		if after := s.see(prompt); strings.Contains(after, "went on") {
			t.Error("the script went on")
		}
		s.leave()
	})
}

// TestPTYHangUp: the terminal around is closed, and all ends.
func TestPTYHangUp(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		s := b.shell()
		pid := s.startPTY(ptyLine(c, "", job(t, nil)))
		s.orphans() // the shell has gone before the job is over
		s.hangUp()
		s.gone(pid)
	})
}

// display is what the terminal shows, on a window of this size.
func (s *session) display(size unix.Winsize) string {
	screen := vt10x.New(vt10x.WithSize(int(size.Col), int(size.Row)))
	screen.Write([]byte(s.screen.String()))
	return screen.String()
}

// shows waits until the terminal does.
func (s *session) shows(size unix.Winsize, what string, ok func(rows []string) bool) {
	s.t.Helper()
	var rows []string
	eventually(s.t, what, func() error {
		rows = strings.Split(s.display(size), "\n")
		for i := range rows {
			rows[i] = strings.TrimRight(rows[i], " ")
		}
		if ok(rows) {
			return nil
		}
		return fmt.Errorf("the screen is %q", rows)
	})
}

// TestPTYFullScreen: programs that have the whole screen, by what it shows, also when its size changes.
func TestPTYFullScreen(t *testing.T) {
	small, large := unix.Winsize{Row: 20, Col: 60}, unix.Winsize{Row: 33, Col: 90}
	for _, program := range []string{"vim", "less"} {
		_, err := os.Stat("/usr/bin/" + program)
		testbed.Need(t, program, err)
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		var lines strings.Builder
		for i := range 500 {
			fmt.Fprintf(&lines, "line %d\n", i+1)
		}
		s := b.shell()
		s.must(os.WriteFile(b.dir+"/lines", []byte(lines.String()), 0o644))
		before := s.modes()
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &small))
		s.command("export TERM=xterm LESS=; cd " + b.dir)

		s.keys(ptyLine(c, "", "less lines") + "\n")
		s.shows(small, "the first lines", func(rows []string) bool { return rows[0] == "line 1" && rows[18] == "line 19" })
		s.keys("G")
		s.shows(small, "the last line", func(rows []string) bool { return rows[18] == "line 500" })
		s.keys("q")
		s.see(prompt)
		s.wantModes(before)

		s.keys(ptyLine(c, "", "vim -u NONE -i NONE -N -n file") + "\n")
		s.shows(small, "an empty file", func(rows []string) bool { return rows[1] == "~" && rows[18] == "~" })
		s.keys("ihello\x1b")
		s.shows(small, "the text", func(rows []string) bool { return rows[0] == "hello" })
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &large))
		s.shows(large, "more lines", func(rows []string) bool { return rows[0] == "hello" && rows[31] == "~" })
		s.keys(":wq\r")
		s.see(prompt)
		s.wantModes(before)
		if data, _ := os.ReadFile(b.dir + "/file"); string(data) != "hello\n" {
			t.Errorf("the file has %q", data)
		}
		s.leave()
	})
}
