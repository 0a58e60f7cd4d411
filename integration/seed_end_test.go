package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// family is a child with a child of its own and a daemon, all of which ignore what asks politely. It prints a line when
// all are there.
var family = shell("trap '' HUP INT QUIT TERM; setsid sleep 10000 & (sleep 10000 &); sleep 10000 & echo ready; wait")

// familySize is how many events a family gives when it is killed: each dies as a child of supervise, or is re-parented to
// it as a zombie.
const familySize = 4

// startFamily is a supervise with two families and an only child.
func startFamily(t *testing.T, c containment, via transport) *seed {
	t.Helper()
	s := newBox(t).startSeed(c, via, seedSpec{Children: [][]string{family, family, sleeper}})
	if !s.lines.waitUntil(func(text string) bool { return strings.Count(text, "ready\n") == 2 }) {
		t.Fatal("the families are not complete")
	}
	return s
}

// wantAllKilled reads the events of startFamily's end.
func (s *seed) wantAllKilled(size int) {
	s.t.Helper()
	events := s.drain()
	if len(events) < size {
		s.t.Errorf("%d events, want %d: %v", len(events), size, events)
	}
	for pid, e := range events {
		// The parenthesis of a family has exited long ago, into the hands of its parent.
		if e != killed(pid) {
			s.t.Errorf("event %v", e)
		}
	}
}

// The end of fd 0 kills every process; the events still come, then supervise exits 0.
func TestSeedEndOfRequests(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := startFamily(t, c, via)
				s.closeRequests()
				s.wantAllKilled(2*familySize + 1)
				s.wantExit(0)
			})
		}
	})
}

// Children whose first thread has exited end as well.
func TestSeedHeadless(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: slices.Repeat([][]string{adversary("headless-child")}, 3)})
		if !s.lines.waitUntil(func(text string) bool { return strings.Count(text, "headless\n") == 3 }) {
			t.Fatal("the children are not ready")
		}
		s.closeRequests()
		s.wantAllKilled(3)
		s.wantExit(0)
	})
}

// Without a reader of fd 1 it goes on silently: it obeys requests, and ends with fd 0.
func TestSeedEventsHungUp(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := startFamily(t, c, via)
				only := s.pids[2]
				s.closeEvents()
				s.send(only, syscall.SIGKILL)
				s.must(waitPid(only, startDeadline))
				s.send(s.pids[0], syscall.SIGKILL)
				s.must(waitPid(s.pids[0], startDeadline))
				if !lives(s.pids[1]) || !s.running() {
					t.Fatalf("the other family is in state %q, supervise running: %v", state(s.pids[1]), s.running())
				}
				s.must(s.requests.Close())
				s.wait().wantCode(0)
			})
		}
	})
}

// When the owner is gone, both ends are.
func TestSeedBothHungUp(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := startFamily(t, c, via)
				s.must(s.requests.Close())
				s.events.Close()
				s.wait().wantCode(0)
			})
		}
	})
}

// It ends with its last child though the owner is there, and also if there never was one.
func TestSeedNoChildren(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := newBox(t).startSeed(c, via, seedSpec{})
				s.wantExit(0)
			})
		}
	})
}

// A signal that would have killed it is the same as the end of the requests.
func TestSeedFatalSignals(t *testing.T) {
	signals := []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM,
		syscall.SIGVTALRM, syscall.SIGXCPU, syscall.SIGPWR, syscall.SIGABRT, 40, 64,
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, sig := range signals {
			t.Run(sigName(sig), func(t *testing.T) {
				s := startFamily(t, c, seqpacket)
				s.kill(s.pids[2]) // it is up
				s.signal(sig)
				s.wantAllKilled(2 * familySize)
				s.wantExit(0)
			})
		}
	})
}

func sigName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprint(int(sig))
}

// A signal whose default does not kill does nothing. SIGPIPE is what it gets when fd 1 is hung up.
func TestSeedOtherSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{unix.SIGPIPE, unix.SIGWINCH, unix.SIGURG, unix.SIGCONT, unix.SIGCHLD} {
		t.Run(sigName(sig), func(t *testing.T) {
			newBox(t).startSeed(inSubreaper, seqpacket, seedSpec{}.withSleepers()).survives(testbed.Signals(sig))
		})
	}
}

// Nor does one that it was told to ignore, or that was blocked; the children from before do not know of it.
func TestSeedHeldSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, h := range heldSets() {
			t.Run(fmt.Sprintf("%x/%x", h.Ignore, h.Block), func(t *testing.T) {
				newBox(t).startSeed(c, seqpacket, seedSpec{Held: h}.withSleepers()).survives(h.Ignore | h.Block)
			})
		}
	})
}

func (s seedSpec) withSleepers() seedSpec {
	s.Children = [][]string{sleeper, sleeper, sleeper}
	return s
}

// survives sends signals to supervise, at two moments, and sees that each child ends by the signal that the owner sends.
func (s *seed) survives(signals uint64) {
	s.t.Helper()
	for i, pid := range s.pids {
		s.send(pid, syscall.SIGALRM) // and not SIGKILL, which is how the job would end
		s.want(event{cldKilled, pid, int(syscall.SIGALRM)})
		if i < 2 {
			testbed.Each(signals, s.signal)
		}
	}
	s.wantExit(0)
}

// SIGTTIN and SIGTTOU stop supervise, as any program, and do not concern the job.
func TestSeedTerminalStops(t *testing.T) {
	s := newBox(t).startSeed(inSubreaper, seqpacket, seedSpec{}.withSleepers())
	s.send(s.pids[0], syscall.SIGALRM)
	s.want(event{cldKilled, s.pids[0], int(syscall.SIGALRM)}) // it has started
	for i, sig := range []syscall.Signal{unix.SIGTTIN, unix.SIGTTOU} {
		s.signal(sig)
		eventually(t, "stopping supervise", func() error { return wantState(s.pid(), "T") })
		if err := wantState(s.pids[i+1], "S"); err != nil {
			t.Errorf("a child: %v", err)
		}
		s.signal(unix.SIGCONT)
		s.send(s.pids[i+1], syscall.SIGALRM)
		s.want(event{cldKilled, s.pids[i+1], int(syscall.SIGALRM)})
	}
	s.wantExit(0)
}

// Requests that end within one are an error: it is one line on stderr, and the job is killed.
func TestSeedRubbish(t *testing.T) {
	good := string(request(1<<30, 0))
	bytewise, messages := []transport{stream, pipes}, []transport{seqpacket}
	for name, tt := range map[string]struct {
		via  []transport
		send string
		end  bool // it shows at the end of the requests only
	}{
		"truncated at the end": {bytewise, good + "123", true},
		"nothing but a stub":   {bytewise, "1", true},
		"short message":        {messages, "12345", false},
	} {
		for _, via := range tt.via {
			t.Run(name+"/"+string(via), func(t *testing.T) {
				s := startFamily(t, inSubreaper, via)
				s.write([]byte(tt.send))
				if tt.end {
					s.closeRequests()
				}
				s.drain()
				o := s.wait()
				o.wantCode(1)
				o.wantOneLine("supervise: ")
			})
		}
	}
}

// What means nothing is ignored, as the seed did: the job lives on, and so do the requests around it. At the end one line says
// how often it was, and the first of it.
func TestSeedNonsense(t *testing.T) {
	all := []transport{seqpacket, stream, pipes}
	for _, tt := range []struct {
		name string
		via  []transport
		send []string // %child is the first child's pid
		line string
	}{
		{"signal 65", all, []string{"%child 65"}, "requests that mean nothing, ignored: 1; the first: signal 65 for process %child, and not 0 to 64"},
		{"signal 65 for a stranger", all, []string{"1073741824 65"}, "requests that mean nothing, ignored: 1; the first: signal 65 for process 1073741824, and not 0 to 64"},
		{"other signals", all, []string{"%child -1", "%child 99", "%child 2147483647"}, "requests that mean nothing, ignored: 3; the first: signal -1 for process %child, and not 0 to 64"},
		{"text", all, []string{"=KILL 1234 please"}, "requests that mean nothing, ignored: 2; the first: signal 858927392 for process 1280067915, and not 0 to 64"},
		{"much of it", all, []string{"=" + strings.Repeat("\xff", 4000)}, "requests that mean nothing, ignored: 500; the first: signal -1 for process -1, and not 0 to 64"},
		{"an empty message", []transport{seqpacket}, []string{"="}, "requests that mean nothing, ignored: 1; the first: an empty message"},
		{"a tail", []transport{seqpacket}, []string{"%child 0 tail"}, "requests that mean nothing, ignored: 1; the first: the rest of a message, behind its last whole request"},
		{"strangers only", all, []string{"1073741824 9", "0 9", "-1 0"}, ""},
	} {
		for _, via := range tt.via {
			t.Run(tt.name+"/"+string(via), func(t *testing.T) {
				s := newBox(t).startSeed(inSubreaper, via, seedSpec{Children: [][]string{sleeper, sleeper}})
				child := strconv.Itoa(s.pids[0])
				for _, text := range tt.send {
					s.sendRaw(wire(strings.ReplaceAll(text, "%child", child)))
				}
				s.kill(s.pids[1])
				s.kill(s.pids[0])
				o := s.wantExit(0)
				if want := strings.ReplaceAll(tt.line, "%child", child); want != "" {
					o.wantOneLine("supervise: " + want + "\n")
				} else if o.stderr != "" {
					t.Errorf("stderr %q", o.stderr)
				}
			})
		}
	}
}

// wire is a request from its text, "PID SIGNAL REST"; or, behind a =, what it is itself.
func wire(text string) []byte {
	if raw, is := strings.CutPrefix(text, "="); is {
		return []byte(raw)
	}
	fields := append(strings.Fields(text), "")
	pid, _ := strconv.Atoi(fields[0])
	sig, _ := strconv.Atoi(fields[1])
	return append(request(pid, sig), fields[2]...)
}

// wantOneLine checks that all that was said on stderr is a line that begins so.
func (o outcome) wantOneLine(begin string) {
	o.t.Helper()
	if strings.Count(o.stderr, "\n") != 1 || !strings.HasSuffix(o.stderr, "\n") || !strings.HasPrefix(o.stderr, begin) {
		o.t.Errorf("stderr %q, want one line that begins with %q", o.stderr, begin)
	}
}

// Supervise in supervise in supervise: the end of the outermost ends all.
func TestSeedNested(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		b.staleOK = true // an inner one may have made its session beside ours before it was moved; its guardian dies with it
		s := b.startSeed(c, seqpacket, seedSpec{Children: [][]string{nested(3)}})
		s.line("innermost")
		s.closeRequests()
		events := s.drain()
		if events[s.pids[0]] != killed(s.pids[0]) {
			t.Errorf("event of the middle supervise: %v", events[s.pids[0]])
		}
		s.wantExit(0)
	})
}

// nested is a command line that runs supervise in supervise without any help of ours: its standard input is a fifo that
// stays open, its standard output goes nowhere.
func nested(depth int) []string {
	inner := "(sleep 10000 & echo innermost >&9; wait)"
	for range depth {
		inner = fmt.Sprintf("(%s) & exec '%s' <&8 >/dev/null", inner, bin.supervise)
	}
	return shell(fmt.Sprintf("exec 9>&1; d=$(mktemp -d); mkfifo $d/f; exec 8<>$d/f; rm -r $d; %s", inner))
}

// SIGKILL cannot be handled; the guardian ends what the supervisor left: by cgroup.kill, and in the fallback, where the
// children were there before supervise and no other process can be put above it, by the mark that they bear.
func TestSeedSupervisorKilled(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := startFamily(t, c, seqpacket)
		s.kill(s.pids[2])
		if c == inSubreaper {
			s.waitMarked()
		}
		s.signal(syscall.SIGKILL)
		o := s.wait()
		if o.signal != syscall.SIGKILL {
			t.Errorf("exit status %d, signal %v", o.code, o.signal)
		}
	})
}

// waitMarked waits until the guardian knows every process: a soft limit is the mark. One that was being forked when its
// parent got it gets it a little later.
func (s *seed) waitMarked() {
	s.t.Helper()
	unmarked := func(pid int) bool {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		soft, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(lineOf(string(limits), "Max realtime timeout"), "Max realtime timeout")), " ")
		return err == nil && soft == "unlimited" && comm(pid) != "supervise" && comm(pid) != "guardian" && comm(pid) != "sentinel" && state(pid) != "Z"
	}
	eventually(s.t, "the mark", func() error {
		if left := slices.DeleteFunc(descendants(), func(pid int) bool { return !unmarked(pid) }); len(left) > 0 {
			return fmt.Errorf("without it: %s", describe(left))
		}
		return nil
	})
}

func lineOf(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}
