package integration

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// prompt is what the shell of the tests prints when it wants a command.
const prompt = "ready> "

// A session is a process that leads a session on a pseudo terminal, with the test at the keyboard.
type session struct {
	*proc
	t      *testing.T
	fd     int // the master side
	master *os.File
	screen *output
	seen   int // how much of the screen the test has looked at
}

// forEachPrefix runs the same session without supervise, and with each containment: what holds for the first must hold
// for the others.
func forEachPrefix(t *testing.T, test func(t *testing.T, prefix []string)) {
	t.Run("bare", func(t *testing.T) { test(t, nil) })
	forEachContainment(t, func(t *testing.T, c containment) {
		test(t, []string{bin.supervise, "run", c.flag(), "--"})
	})
}

// open starts a program on a new terminal.
func (b *box) open(argv ...string) *session {
	b.t.Helper()
	s := &session{t: b.t}
	slave := s.openTerminal()
	defer slave.Close()
	s.screen = collect(s.master)
	b.t.Cleanup(s.hangUp)
	s.proc = b.start(launch{
		argv:  argv,
		env:   []string{"PS1=" + prompt, "PS2=more> ", "TERM=dumb", "HISTFILE=/dev/null", terminalJob + "=1"},
		stdin: slave, stdout: slave, stderr: slave,
		attr: syscall.SysProcAttr{Setsid: true, Setctty: true},
	})
	return s
}

// shell starts an interactive shell, which shows no echo, and tells at once when a job changes.
func (b *box) shell() *session {
	b.t.Helper()
	s := b.open("/bin/bash", "--noprofile", "--norc", "--noediting", "-i")
	s.see(prompt)
	s.command("stty -echo")
	s.command("set -b")
	return s
}

func (s *session) openTerminal() (slave *os.File) {
	s.t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	testbed.Need(s.t, "pseudo terminals", err)
	s.fd, s.master = fd, os.NewFile(uintptr(fd), "/dev/ptmx")
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		s.master.Close()
		testbed.Need(s.t, "a pseudo terminal", err)
	}
	return slave
}

// hangUp closes the test's side, which is the end of the terminal.
func (s *session) hangUp() {
	s.screen.close()
	if s.proc != nil {
		<-s.done
	}
}

// keys types. Control keys are their bytes.
func (s *session) keys(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatalf("typing %q: %v", text, err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlZ = "\x1a"
)

// command types a line and waits for the next prompt.
func (s *session) command(line string) (printed string) {
	s.t.Helper()
	s.keys(line + "\n")
	return s.see(prompt)
}

// see waits for a text on the part of the screen that was not looked at yet, and returns what came before it.
func (s *session) see(text string) (before string) {
	s.t.Helper()
	at := -1
	found := s.screen.waitUntil(func(all string) bool {
		at = strings.Index(all[s.seen:], text)
		return at >= 0
	})
	rest := s.screen.String()[s.seen:]
	if !found {
		s.t.Fatalf("the terminal shows no %q, but: %q", text, tail(rest))
	}
	s.seen += at + len(text)
	return rest[:at]
}

// seeAll waits for several texts that may come in any order, and looks no further than the last.
func (s *session) seeAll(texts ...string) {
	s.t.Helper()
	from, end := s.seen, s.seen
	for _, text := range texts {
		s.seen = from
		s.see(text)
		end = max(end, s.seen)
	}
	s.seen = end
}

var startedLine = regexp.MustCompile(`^ *([0-9]+)\r*\n`)

// seeStarted waits for the job to be up and returns its pid.
func (s *session) seeStarted() int {
	s.t.Helper()
	s.see("started")
	from := s.seen
	s.see("\n")
	m := startedLine.FindStringSubmatch(s.screen.String()[from:])
	if m == nil {
		s.t.Fatalf("no pid at %q", s.screen.String()[from:])
	}
	pid, _ := strconv.Atoi(m[1])
	return pid
}

// status asks the shell for the exit status of the last command.
func (s *session) status() string {
	s.t.Helper()
	return strings.TrimSpace(s.command("echo $?"))
}

// foreground is the process group that the terminal belongs to.
func (s *session) foreground() int {
	s.t.Helper()
	pgrp, err := unix.IoctlGetInt(s.fd, unix.TIOCGPGRP)
	if err != nil {
		s.t.Fatal(err)
	}
	return pgrp
}

// wantForeground checks that a process is in the foreground.
func (s *session) wantForeground(pid int) {
	s.t.Helper()
	own, err := unix.Getpgid(pid)
	if pgrp := s.foreground(); err != nil || pgrp != own {
		s.t.Errorf("the foreground process group is %d, want that of process %d: %d %v", pgrp, pid, own, err)
	}
}

// modes are the settings of the terminal.
func (s *session) modes() unix.Termios {
	s.t.Helper()
	mode, err := unix.IoctlGetTermios(s.fd, unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *mode
}

// leave ends the shell, which must be at its prompt and without jobs.
func (s *session) leave() {
	s.t.Helper()
	s.wantForeground(s.pid())
	s.keys("exit 0\n")
	s.wait().wantCode(0)
}

// gone waits for a process to have ended.
func (s *session) gone(pid int) {
	s.t.Helper()
	if err := waitPid(pid, startDeadline); err != nil {
		s.t.Error(err)
	}
}

// eventually waits for what shows on no screen.
func (s *session) eventually(what string, ok func() bool) {
	s.t.Helper()
	eventually(s.t, what, func() error {
		if ok() {
			return nil
		}
		return fmt.Errorf("never happened; the terminal shows %q", tail(s.screen.String()))
	})
}
