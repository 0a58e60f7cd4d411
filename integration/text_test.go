package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A textSeed is a supervise that speaks the text protocol on its descriptors 0 and 1, seen by its owner. Its command has
// neither, and prints to stderr.
type textSeed struct {
	*seed
	reader *bufio.Reader // of a byte stream
	main   int           // pid, once it was told
}

func (b *box) startText(c containment, via transport, argv ...string) *textSeed {
	b.t.Helper()
	s := &textSeed{seed: b.startSeed(c, via, seedSpec{Args: append([]string{"0", "1"}, argv...)})}
	s.reader = bufio.NewReader(s.events)
	return s
}

// line reads a line, which on a socket that keeps messages is one; "" at the end.
func (s *textSeed) line() string {
	s.t.Helper()
	s.events.SetReadDeadline(time.Now().Add(startDeadline))
	var text string
	var err error
	if s.via == seqpacket {
		buf := make([]byte, 4096)
		var n int
		n, err = s.events.Read(buf)
		text = string(buf[:max(n, 0)])
	} else {
		text, err = s.reader.ReadString('\n')
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return text
	}
	if err != nil {
		s.t.Fatalf("reading a line: %v; stderr: %s", err, s.stderr)
	}
	return text
}

// wantLines reads the lines that come next, then, of "", the end.
func (s *textSeed) wantLines(lines ...string) {
	s.t.Helper()
	for _, want := range lines {
		if want != "" {
			want += "\n"
		}
		if got := s.line(); got != want {
			s.t.Fatalf("told %q, want %q; stderr: %s", got, want, s.stderr)
		}
	}
}

// wantPID reads the first line.
func (s *textSeed) wantPID() {
	s.t.Helper()
	text := s.line()
	if _, err := fmt.Sscanf(text, "pid %d\n", &s.main); err != nil || s.main <= 0 {
		s.t.Fatalf("told %q first; stderr: %s", text, s.stderr)
	}
}

// said waits for a line of the command's.
func (s *textSeed) said(line string) {
	s.t.Helper()
	if !s.stderr.waitFor(line) {
		s.t.Fatalf("the command has not said %q: %q", line, s.stderr)
	}
}

// theEnd reads what comes when nothing is left, and waits for supervise.
func (s *textSeed) theEnd() outcome {
	s.t.Helper()
	s.wantLines("no_children", "terminating", "")
	o := s.wait()
	o.wantCode(0)
	return o
}

func TestTextEvents(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			for script, want := range map[string]string{
				"exit 0": "exited 0", "exit 200": "exited 200", "kill -KILL $$": "killed 9", "kill -TERM $$": "killed 15",
				"(exit 1) & exit 3": "exited 3", // of its children nothing is told
			} {
				t.Run(string(via)+"/"+script, func(t *testing.T) {
					s := newBox(t).startText(c, via, shell(script)...)
					s.wantPID()
					s.wantLines(want)
					s.theEnd()
				})
			}
		}
	})
}

// TestTextSignals: a line each, or a message, with which the seed's Python client did not send a newline.
func TestTextSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				end := "\n"
				if via == seqpacket {
					end = ""
				}
				s := newBox(t).startText(c, via, shell("trap 'echo usr1 >&2' USR1; trap 'echo usr2 >&2; exit 7' USR2; echo up >&2; "+
					"while :; do sleep 0.01; done")...)
				s.wantPID()
				s.said("up")
				s.sendRaw([]byte("signal 10" + end))
				s.said("usr1")
				s.sendRaw([]byte("signal 19\nsignal 18\nsignal 12" + end)) // a stop and a continuation, of which nothing is told
				s.wantLines("exited 7")
				s.theEnd()
			})
		}
	})
}

// The end of the requests ends everything, and is told.
func TestTextEndOfRequests(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := newBox(t).startText(c, via, shell("trap '' HUP INT TERM; setsid sleep 1000 & (sleep 1000 &); echo up >&2; sleep 1000")...)
				s.wantPID()
				s.said("up")
				s.closeRequests()
				s.wantLines("killed 9")
				s.theEnd()
			})
		}
	})
}

// The command is told of at its end, and what it has left is waited for.
func TestTextOrphans(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startText(c, seqpacket, shell("setsid sh -c 'echo left $$ >&2; exec sleep 1000' & exit 4")...)
		s.wantPID()
		s.wantLines("exited 4")
		var orphan int
		s.stderr.waitUntil(func(text string) bool { n, _ := fmt.Sscanf(text, "left %d\n", &orphan); return n == 1 })
		s.sendRaw([]byte("signal 9")) // for nobody: its pid may be another's
		s.signalProcess(orphan)
		s.theEnd()
	})
}

// signalProcess sends SIGKILL to a process of the job, which is not supervise's owner's to name.
func (s *textSeed) signalProcess(pid int) {
	s.t.Helper()
	s.must(unix.Kill(pid, unix.SIGKILL))
}

// A fatal signal to supervise is the same as the end of the requests; after a SIGKILL nothing is left either.
func TestTextSupervisorEnds(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(sigName(sig), func(t *testing.T) {
				s := newBox(t).startText(c, seqpacket, shell("kill -STOP $$; setsid sleep 1000 & echo up >&2; sleep 1000")...)
				s.wantPID()
				eventually(t, "the command stops itself", func() error { return wantState(s.main, "T") })
				s.sendRaw([]byte("signal 18")) // when supervise is up
				s.said("up")
				if c == inSubreaper {
					s.waitMarked()
				}
				s.signal(sig)
				if sig == syscall.SIGTERM {
					s.wantLines("killed 9")
					s.theEnd()
				} else if s.wait(); s.line() != "" {
					t.Error("told more")
				}
			})
		}
	})
}

// What means nothing is ignored, and said once.
func TestTextNonsense(t *testing.T) {
	for _, via := range []transport{seqpacket, stream, pipes} {
		t.Run(string(via), func(t *testing.T) {
			s := newBox(t).startText(inSubreaper, via, "sleep", "1000")
			s.wantPID()
			for _, line := range []string{"signal 65\n", "kill\n", "\n", "signal 15\n"} {
				s.sendRaw([]byte(line))
			}
			s.wantLines("killed 15")
			s.theEnd().wantOneLine(`supervise: requests that mean nothing, ignored: 2; the first: "signal 65", and not "signal N" with 0 to 64`)
		})
	}
}

// TestTextDescriptors: a descriptor may be none, or a file; the command inherits neither, and the others.
func TestTextDescriptors(t *testing.T) {
	b := newBox(t)
	status := filepath.Join(b.dir, "status")
	file, err := os.Create(status)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	o := b.start(launch{argv: []string{bin.supervise, "-1", "4", "sh", "-c", "ls /proc/$$/fd; exit 5"}, extra: []*os.File{file}}).wait()
	o.wantCode(0)
	if fds := strings.Fields(o.stdout); slices.Contains(fds, "4") || !slices.Contains(fds, "3") || !slices.Contains(fds, "0") {
		t.Errorf("the command had %q", fds)
	}
	text, err := os.ReadFile(status)
	if err != nil {
		t.Fatal(err)
	}
	if _, rest, _ := strings.Cut(string(text), "\n"); rest != "exited 5\nno_children\nterminating\n" {
		t.Errorf("told %q", text)
	}
	s := newBox(t).startText(inSubreaper, seqpacket, shell("for fd in 0 1 2; do test -e /proc/self/fd/$fd && echo has $fd >&2; done; true")...)
	s.wantPID()
	s.wantLines("exited 0")
	if o := s.theEnd(); o.stderr != "has 2\n" {
		t.Errorf("the command %s", o.stderr)
	}
}

// TestTextScript: a file of no known format is a shell's, as for execvp(3).
func TestTextScript(t *testing.T) {
	b := newBox(t)
	script := filepath.Join(b.dir, "script")
	if err := os.WriteFile(script, []byte("echo $1; exit 6"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := b.supervised("-1", "2", script, "argument")
	o.wantCode(0)
	if o.stdout != "argument\n" || !strings.Contains(o.stderr, "\nexited 6\n") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}

// TestTextUsage: one line says what the number was taken for.
func TestTextUsage(t *testing.T) {
	number := "supervise: a number is for 'supervise CONTROLFD STATUSFD COMMAND [ARG]...', the text protocol of catern/supervise up to 1.4; "
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		line   string
	}{
		{[]string{"3"}, 2, number}, {[]string{"-1", "-1"}, 2, number}, {[]string{"3", "sh", "true"}, 2, number},
		{[]string{"-1", "1000", "true"}, 2, "supervise: descriptor 1000 is not open"},
		{[]string{"1000", "-1", "true"}, 2, "supervise: descriptor 1000 is not open"},
		{[]string{"-1", "-1", "no-such-command"}, 127, "supervise: no-such-command: not found"},
		{[]string{"-1", "-1", plain}, 126, "supervise: " + plain + ": cannot be executed: permission denied"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			o := newBox(t).supervised(tt.args...)
			o.wantCode(tt.status)
			o.wantOneLine(tt.line)
		})
	}
}

// TestTextInJob: where there is a cgroup, the command is in one.
func TestTextInJob(t *testing.T) {
	needCgroup(t)
	s := newBox(t).startText(inCgroup, seqpacket, "sleep", "1000")
	s.wantPID()
	eventually(t, "the move into the job", func() error {
		cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(s.main) + "/cgroup")
		if err == nil && !strings.Contains(string(cgroup), "/jobs-") {
			err = fmt.Errorf("it is in %s", cgroup)
		}
		return err
	})
	s.closeRequests()
	s.wantLines("killed 9")
	s.theEnd()
}
