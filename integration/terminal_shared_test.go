package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// The job runs where others have the terminal as well: nothing may be taken from them.

// plainShells are shells that run scripts without job control.
var plainShells = []string{"bash", "dash"}

func forEachPlainShell(t *testing.T, test func(t *testing.T, shell string, prefix []string)) {
	for _, shell := range plainShells {
		t.Run(shell, func(t *testing.T) {
			needProgram(t, shell)
			forEachPrefix(t, func(t *testing.T, prefix []string) { test(t, shell, prefix) })
		})
	}
}

// A script reads from the terminal while its job in the background runs. What it reads first it has asked for before.
func TestTerminalScriptReads(t *testing.T) {
	forEachPlainShell(t, func(t *testing.T, shell string, prefix []string) {
		s := newBox(t).shell()
		s.keys(shell + " -c '" + job(t, prefix) + ` & read a; echo first $a; read b; echo second $b; kill $!; wait $!; echo status=$?'` + "\n")
		pid := s.seeStarted()
		s.wantForeground(pid)
		s.keys("one\n")
		s.see("first one")
		s.keys("two\n")
		s.see("second two")
		s.see("status=143")
		s.see(prompt)
		s.gone(pid)
		s.leave()
	})
}

// Ctrl-C ends the script that waits for a job in the background, and not the job: the shell had it ignore SIGINT.
func TestTerminalScriptWaits(t *testing.T) {
	forEachPlainShell(t, func(t *testing.T, shell string, prefix []string) {
		s := newBox(t).shell()
		s.keys(shell + " -c '" + job(t, prefix) + " & wait; echo not-reached'\n")
		pid := s.seeStarted()
		s.keys(ctrlC)
		if printed := s.see(prompt); strings.Contains(printed, "not-reached") {
			t.Errorf("the script went on: %q", printed)
		}
		if got := s.status(); got != "130" {
			t.Errorf("exit status: %s", got)
		}
		s.must(syscall.Kill(pid, syscall.SIGTERM))
		s.gone(pid)
		s.orphans()
		s.leave()
	})
}

// orphans says that the test has ended a process whose children go on, and end by themselves.
func (s *session) orphans() { s.killed.Store(true) }

// A script and its job in the background are stopped and continued as a whole; the job cannot read what the script may.
func TestTerminalScriptStopsWithBackground(t *testing.T) {
	forEachPlainShell(t, func(t *testing.T, shell string, prefix []string) {
		s := newBox(t).shell()
		s.keys(shell + " -c '" + job(t, prefix) + ` & read a; echo first $a; kill $!; wait $!; echo status=$?'` + "\n")
		pid := s.seeStarted()
		for range 3 {
			s.stop(pid)
			s.keys("fg\n")
			s.see("continued")
			s.wantForeground(pid)
		}
		s.keys("one\n")
		s.see("first one")
		s.see("status=143")
		s.see(prompt)
		s.leave()
	})
}

// Two jobs of make, which have its process group. The shell of each waits for the program that it runs: both must be told.
func TestTerminalMake(t *testing.T) {
	needProgram(t, "make")
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		b := newBox(t)
		s := b.shell()
		file := b.dir + "/Makefile"
		line := strings.Join(prefix, " ") + " sh -c '" + job(t, nil) + "; true'"
		s.must(os.WriteFile(file, []byte("all: a b\na b:\n\t@"+line+"\n"), 0o644))
		s.keys("make -sj2 -f " + file + "\n")
		one, two := s.seeStarted(), s.seeStarted()
		s.keys(ctrlC)
		s.see(prompt)
		s.gone(one)
		s.gone(two)
		s.leave()
	})
}

// A program that reads the terminal while its child runs.
func TestTerminalProgramReads(t *testing.T) {
	needProgram(t, "python3")
	const program = `
import subprocess, sys
p = subprocess.Popen(sys.argv[1:])
print("first", input(), flush=True)
print("second", input(), flush=True)
p.terminate()
print("status", p.wait() in (143, -15), flush=True)
`
	forEachPrefix(t, func(t *testing.T, prefix []string) {
		b := newBox(t)
		s := b.shell()
		file := b.dir + "/program.py"
		s.must(os.WriteFile(file, []byte(program), 0o644))
		s.keys("python3 " + file + " " + job(t, prefix) + "\n")
		pid := s.seeStarted()
		s.keys("one\n")
		s.see("first one")
		s.keys("two\n")
		s.see("second two")
		s.see("status True")
		s.see(prompt)
		s.gone(pid)
		s.leave()
	})
}

// The main process gets a signal from the keyboard once, though supervise gets it too.
func TestTerminalSignalsOnce(t *testing.T) {
	forEachPlainShell(t, func(t *testing.T, shell string, prefix []string) {
		s := newBox(t).shell()
		line := strings.Join(append(prefix[:len(prefix):len(prefix)], adversary("signals", "-exit=7")...), " ")
		s.keys(shell + ` -c 'trap "" INT QUIT; exec 9>&1; ` + "env --default-signal=INT,QUIT " + line + "; echo status=$?'\n")
		s.see("ready")
		top := testbed.Children(testbed.Children(s.pid())[0])[0]
		for range 3 {
			s.keys(ctrlC)
			s.wantOnce(top, "got SIGINT")
			s.keys("\x1c")
			s.wantOnce(top, "got SIGQUIT")
		}
		s.must(unix.IoctlSetWinsize(s.fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 17, Col: 33}))
		s.wantOnce(top, "got SIGWINCH")
		s.must(unix.Kill(top, unix.SIGTERM))
		s.see("status=7")
		s.see(prompt)
		s.leave()
	})
}

// wantOnce waits for a text, and sees that it does not come again before what a later signal causes. That is sent when the
// text is there: the keyboard's signals have the kernel throw away what was printed and not read yet.
func (s *session) wantOnce(pid int, text string) {
	s.t.Helper()
	s.see(text)
	s.must(unix.Kill(pid, unix.SIGUSR1))
	if again := s.see("got SIGUSR1"); strings.Contains(again, text) {
		s.t.Errorf("%q comes again", text)
	}
}

// A job that kills its process group with SIGKILL hits supervise, and not its guardian. What had left the group
// ends nevertheless.
func TestTerminalKillsGroup(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		s := b.shell()
		s.keys(fmt.Sprintf(`sh -c '%s run %s -- sh -c "setsid sleep 10000 & echo started \$!; kill -KILL 0"; echo not-reached'`+"\n", bin.supervise, c.flag()))
		pid := s.seeStarted()
		s.see("Killed")
		s.see(prompt)
		s.gone(pid)
		s.orphans()
		s.leave()
		b.start(b.run(c, nil, "true")).wait().wantCode(0) // and the directories with the next start
	})
}

// A stopped script whose terminal goes away ends with its job.
func TestTerminalHangUpStopped(t *testing.T) {
	for _, after := range []string{"", " | cat", "; echo not-reached"} {
		forEachPrefix(t, func(t *testing.T, prefix []string) {
			s := newBox(t).shell()
			s.keys("sh -c '" + job(t, prefix) + after + "'\n")
			pid := s.seeStarted()
			s.stop(pid)
			s.screen.close()
			s.gone(pid)
			s.orphans()
			s.wait()
		})
	}
}
