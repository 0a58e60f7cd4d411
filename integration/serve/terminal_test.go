package serve

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/hinshun/vt10x"
	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A screen is a job on a terminal, as a person sees it.
type screen struct {
	*job
	vt vt10x.Terminal
}

// terminal is the descriptors of a job on a terminal.
func terminal(rows, cols int) []any {
	return []any{object{"pty": object{"rows": rows, "cols": cols}}, "pty", "pty"}
}

// screen starts a program on a terminal of 24 rows and 80 columns.
func (s *server) screen(env object, argv ...string) *screen {
	s.t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		testbed.Need(s.t, argv[0], err)
	}
	if env == nil {
		env = object{}
	}
	env["TERM"], env["LC_ALL"] = "xterm", "C.UTF-8"
	j := s.spawn(object{"stdio": terminal(24, 80), "env_update": env}, argv...)
	return &screen{j, vt10x.New(vt10x.WithSize(80, 24))}
}

// keys types.
func (s *screen) keys(text string) {
	s.s.t.Helper()
	s.do("input", object{"text": text})
}

// see waits until the screen shows something that is right.
func (s *screen) see(what string, right func(screen string) bool) {
	s.s.t.Helper()
	defer func() {
		if s.s.t.Failed() {
			s.s.t.Logf("waited for %s; the screen:\n%s", what, s.shown())
		}
	}()
	for !right(s.shown()) {
		m := s.s.find("output or ended", func(m object) bool {
			params, _ := m["params"].(object)
			return params["job"] == s.number && (m["method"] == "output" || m["method"] == "ended")
		})
		if m["method"] == "ended" {
			s.s.t.Fatalf("the job has ended: %s", text(m))
		}
		s.vt.Write([]byte(s.s.part(m["params"].(object))))
	}
}

// shown is what the screen shows, without the spaces at the end of each line, and without empty lines at its own end.
func (s *screen) shown() string {
	lines := strings.Split(s.vt.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// seeText waits until the screen has a text somewhere.
func (s *screen) seeText(want string) {
	s.s.t.Helper()
	s.see(fmt.Sprintf("%q", want), func(screen string) bool { return strings.Contains(screen, want) })
}

// resize sets the size of both.
func (s *screen) resize(rows, cols int) {
	s.s.t.Helper()
	s.vt.Resize(cols, rows)
	s.do("resize", object{"rows": rows, "cols": cols})
}

// onTerminal runs a test in both containments.
func onTerminal(t *testing.T, test func(s *server)) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		test(s)
		s.end()
	})
}

const ctrlC, ctrlD, ctrlZ, escape = "\x03", "\x04", "\x1a", "\x1b"

// TestTerminal: the job leads its session on a terminal of the size that was asked for, all three descriptors are it, and the
// owner's keys and resizes reach it.
func TestTerminal(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "sh", "-c", `trap 'stty size' WINCH; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty; ps -o pid= -o sid= -o tpgid= -p $$; stty size
			echo err >&2; echo tty >/dev/tty; echo ready; until read x; do :; done; echo "read $x"; cat; echo over`)
		j.seeText("ready")
		shown := strings.Fields(j.vt.String())
		if !strings.HasPrefix(shown[0], "/dev/pts/") || shown[1] != shown[2] || shown[2] != shown[3] || strings.Join(shown[4:6], " ") != "24 80" {
			t.Errorf("%q", shown[:6])
		}
		j.seeText("err")
		j.seeText("tty")
		j.resize(30, 100)
		j.seeText("30 100")
		j.keys("héllo\n")
		j.seeText("read héllo")
		j.do("input", object{"eof": true})
		j.seeText("over")
		j.ended("exited")
	})
}

// TestTerminalErrors: what cannot be is refused, and leaves nothing.
func TestTerminalErrors(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		for _, stdio := range [][]any{
			{"null", "null", "null", "pty"},
			{object{"pty": object{"rows": 1}}, object{"pty": object{"rows": 2}}},
			{object{"pty": object{"window": -1}}},
			{object{"pty": object{"window": 1 << 60}}},
			{object{"pty": object{"keep": -1}}},
			{"pty", object{"capture": object{"limit": -2}}},
			{"pty", object{"capture": object{}}},
			{"null", object{"capture": object{}}, "pty"},
		} {
			s.refused(-32602, "spawn", object{"argv": []string{"true"}, "stdio": stdio})
		}
		s.refused(-32008, "spawn", object{"argv": []string{"true"}, "stdio": []any{object{"pty": object{"master": true}}}})
		s.refused(-32005, "spawn", object{"argv": []string{"no-such-command"}, "stdio": terminal(1, 1)})
		j := s.spawn(nil, "sleep", "1000")
		j.refused(-32602, "resize", object{"rows": 1, "cols": 1})
		j.kill()
		j = s.spawn(object{"stdio": terminal(1, 1)}, "sleep", "1000")
		j.refused(-32602, "resize", object{"rows": 0, "cols": 1})
		j.kill()
		s.wantFds(before)
		s.end()
	})
}

// TestTerminalMaster: the owner may have the master side itself; then it alone reads, types and resizes.
func TestTerminalMaster(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		j := s.shell(object{"stdio": []any{object{"pty": object{"master": true}}, "pty", "pty"}}, "stty size; read x; echo got $x; exec sleep 1000")
		if text(j.result["pipes"]) != "[0]" {
			t.Errorf("%s", text(j.result))
		}
		master := s.take(1)[0]
		j.refused(-32008, "input", object{"text": "x"})
		j.refused(-32008, "resize", object{"rows": 1, "cols": 1})
		master.WriteString("hello\n")
		shown := ""
		for !strings.Contains(shown, "got hello") {
			var b [1024]byte
			n, err := master.Read(b[:])
			s.must(err)
			shown += string(b[:n])
		}
		master.Close() // the terminal hangs up
		if signal := j.ended("signaled")["exit"].(object)["signal"]; signal != "SIGHUP" {
			t.Errorf("%v", signal)
		}
		s.wantFds(before)
		s.end()
	})
}

// TestTerminalTail: all that was printed before the end is told, whatever the kernel still has of it then.
func TestTerminalTail(t *testing.T) {
	onTerminal(t, func(s *server) {
		for range 30 {
			j := s.shell(object{"stdio": terminal(24, 80)}, "seq 1 2000")
			got := j.said()
			if lines := strings.Fields(got); len(lines) != 2000 || lines[1999] != "2000" {
				t.Fatalf("%d lines", len(lines))
			}
		}
	})
}

// TestTerminalKept: what a terminal shows may be kept, and looked at later.
func TestTerminalKept(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.shell(object{"stdio": []any{object{"pty": object{"keep": 1000, "text": true}}, "pty", "pty"}}, "tty >/dev/null && echo on a terminal")
		j.ended("exited")
		if got := j.do("output", object{"text": true})["text"]; got != "on a terminal\r\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestTerminalEnd: a job on a terminal ends as any, with what it has left, and nothing is to be seen of it.
func TestTerminalEnd(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "bash", "-c", "trap '' HUP; setsid sleep 1001 & sleep 1002 & echo ready; sleep 1003")
		j.seeText("ready")
		testbed.Eventually(t, patience, "three sleeping", func() error { return wantSleepers(s.pid(), 3) })
		j.do("kill", object{"wait": true})
		if alive := descendantsNamed(s.pid(), "sleep"); len(alive) > 0 {
			t.Errorf("alive: %v", alive)
		}
		j.ended("killed")
	})
}

// TestBash: job control and Ctrl-C, as a person has them.
func TestBash(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(object{"PS1": "READY> "}, "bash", "--norc", "--noprofile", "-i")
		j.seeText("READY>")
		j.keys("sleep 1000\n")
		testbed.Eventually(t, patience, "sleeping", func() error { return wantSleepers(s.pid(), 1) })
		j.keys(ctrlZ)
		j.seeText("Stopped")
		j.keys("jobs; fg\n")
		j.seeText("[1]+  Stopped                 sleep 1000\nsleep 1000")
		testbed.Eventually(t, patience, "in front", func() error {
			sleepers := descendantsNamed(s.pid(), "sleep")
			if len(sleepers) != 1 || wantStopped(sleepers[0], false) != nil {
				return fmt.Errorf("%v", sleepers)
			}
			return nil
		})
		j.keys(ctrlC)
		j.see("the prompt after Ctrl-C", func(screen string) bool {
			return strings.Contains(screen, "^C") && strings.HasSuffix(strings.TrimSpace(screen), "READY>")
		})
		j.keys("echo status $?\n")
		j.seeText("status 130")
		j.keys("exit 7\n")
		if exit := j.ended("exited")["exit"].(object); exit["code"] != 7.0 {
			t.Errorf("%s", text(exit))
		}
	})
}

// TestPython: an interpreter takes lines, and the end of them.
func TestPython(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "python3", "-i", "-q")
		j.seeText(">>>")
		j.keys("6*7\n")
		j.seeText("42")
		j.keys("import time; print('sl' + 'eeps'); time.sleep(1000)\n")
		j.seeText("sleeps")
		j.keys(ctrlC)
		j.seeText("KeyboardInterrupt")
		j.keys("import os; os._exit(3)\n")
		if exit := j.ended("exited")["exit"].(object); exit["code"] != 3.0 {
			t.Errorf("%s", text(exit))
		}
		j = s.screen(nil, "python3", "-i", "-q")
		j.seeText(">>>")
		j.keys(ctrlD)
		j.ended("exited")
	})
}

// TestVim: an editor draws its screen, anew when that is resized.
func TestVim(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "vim", "-u", "NONE", "-i", "NONE", "-n")
		j.seeText("VIM - Vi IMproved")
		j.keys("ihello from the editor" + escape)
		j.seeText("hello from the editor")
		rows := func(n int) func(string) bool { // an empty line is shown by a tilde
			return func(screen string) bool { return strings.Count(screen, "\n~") == n }
		}
		j.see("24 rows", rows(22))
		j.resize(12, 40)
		j.keys("\x0c") // drawn anew
		j.see("12 rows", rows(10))
		j.keys(":q!\n")
		j.ended("exited")
	})
}

// TestLess: a pager shows pages of the size of the terminal.
func TestLess(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "sh", "-c", "seq 1 1000 | less")
		j.see("the first page", func(screen string) bool { return strings.Contains(screen, "\n23") && strings.Contains(screen, ":") })
		j.keys("G")
		j.seeText("1000")
		j.keys("g")
		j.see("the first page again", func(screen string) bool {
			return strings.HasPrefix(screen, "1\n") && strings.Contains(screen, "\n23\n:")
		})
		j.resize(10, 80)
		j.keys("r") // drawn anew: a SIGWINCH just before it reads the next key would wait for that
		j.see("a page of ten", func(screen string) bool {
			return strings.HasPrefix(screen, "1\n") && strings.HasSuffix(screen, "\n9\n:")
		})
		j.keys("q")
		j.ended("exited")
	})
}

// TestTop: a full screen that draws itself again and again.
func TestTop(t *testing.T) {
	onTerminal(t, func(s *server) {
		j := s.screen(nil, "top", "-d", "0.1")
		j.seeText("PID")
		j.resize(15, 100)
		j.see("fifteen rows", func(screen string) bool {
			return strings.Contains(screen, "load average") && strings.Contains(screen, "COMMAND")
		})
		j.keys("q")
		j.ended("exited")
	})
}
