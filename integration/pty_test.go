package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// onPTY is `supervise run --pty` in a session without a terminal, as in a CI, and with no input.
func (b *box) onPTY(c containment, flags []string, argv ...string) launch {
	b.t.Helper()
	l := b.run(c, append([]string{"--pty"}, flags...), argv...)
	l.env = []string{"LINES=", "COLUMNS=", "TERM=dumb", "PS1=" + prompt, "HISTFILE=/dev/null"}
	l.attr = syscall.SysProcAttr{Setsid: true}
	l.stdin = b.file("/dev/null")
	return l
}

// file opens a file for reading, which the test closes at its end.
func (b *box) file(path string) *os.File {
	b.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.Close() })
	return f
}

// leads prints "leads" if the shell that runs it leads a session, and is in the foreground of the terminal that it has in all
// three places.
const leads = `read pid name state parent group session tty front rest </proc/$$/stat
[ $group = $$ ] && [ $session = $$ ] && [ $front = $$ ] && [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && [ "$(tty)" = "$(tty <&2)" ] && echo leads`

func TestPTYLeads(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.onPTY(c, nil, "sh", "-c", leads+"; echo error >&2; echo all >/dev/tty")).wait()
		o.wantCode(0)
		if o.stdout != "leads\r\nerror\r\nall\r\n" || o.stderr != "" {
			t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
		}
	})
}

func TestPTYSize(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for _, tt := range []struct{ flag, env, want string }{
			{"--pty", "", "24 80"},
			{"--pty", "LINES=50 COLUMNS=132", "50 132"},
			{"--pty", "LINES=0 COLUMNS=many", "24 80"},
			{"--pty=30x100", "LINES=50 COLUMNS=132", "30 100"},
		} {
			l := b.onPTY(c, []string{tt.flag}, "stty", "size")
			l.env = append(l.env, strings.Fields(tt.env)...)
			o := b.start(l).wait()
			o.wantCode(0)
			if got := strings.TrimSpace(o.stdout); got != tt.want {
				t.Errorf("%s %s: %q, want %q; stderr %q", tt.flag, tt.env, got, tt.want, o.stderr)
			}
		}
	})
}

// TestPTYStatus: status, record, limits in time and leftovers are as without a terminal.
func TestPTYStatus(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.onPTY(c, nil, "sh", "-c", "exit 7")).wait()
		o.wantCode(7)
		o.wantRecord(c, "exited").wantExit(t, 7)
		o = b.start(b.onPTY(c, nil, "sh", "-c", "kill -KILL $$")).wait()
		o.wantCode(137)
		o.wantRecord(c, "signaled").wantSignal(t, "SIGKILL")
		o = b.start(b.onPTY(c, []string{"--timeout=0.1"}, "sleep", "10000")).wait()
		o.wantCode(124)
		o.wantRecord(c, "timeout")
		o = b.start(b.onPTY(c, []string{"--leftovers=fail"}, "sh", "-c", "trap '' HUP; sleep 10000 & exit 0")).wait()
		o.wantCode(125)
		if !strings.Contains(o.stderr, "the command left 1 running, now killed: ") {
			t.Errorf("stderr %q", o.stderr)
		}
		o = b.start(b.onPTY(c, []string{"--leftovers=wait"}, "sh", "-c", "trap '' HUP; (sleep 0.1; echo late) & exit 3")).wait()
		o.wantCode(3)
		if o.stdout != "late\r\n" {
			t.Errorf("stdout %q", o.stdout)
		}
		b.start(b.onPTY(c, nil, "no such command")).wait().wantCode(127)
		b.start(b.onPTY(c, nil, "/dev/null")).wait().wantCode(126)
	})
}

// TestPTYRecordLast: the record on standard output comes behind all of the job's output.
func TestPTYRecordLast(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for range 20 {
			o := b.start(b.onPTY(c, []string{"--record=-"}, "sh", "-c", "yes | head -c 9000; echo last")).wait()
			o.wantCode(0)
			if _, record, _ := strings.Cut(o.stdout, "last\r\n"); !strings.HasPrefix(record, "{") {
				t.Fatalf("stdout %q", tail(o.stdout))
			}
		}
	})
}

// TestPTYTail: all that was written before the last process died comes out, with its status.
func TestPTYTail(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		times := 200
		if testing.Short() {
			times = 25
		}
		for i := range times {
			p := b.start(b.onPTY(c, nil, "sh", "-c", "head -c 9000 /dev/zero | tr '\\0' x; (head -c 9000 /dev/zero | tr '\\0' y; echo; echo tail) & wait; exit 3"))
			o := p.wait()
			p.release()
			o.wantCode(3)
			if want := strings.Repeat("x", 9000) + strings.Repeat("y", 9000) + "\r\ntail\r\n"; o.stdout != want {
				t.Fatalf("round %d: %d bytes, want %d: %q", i, len(o.stdout), len(want), tail(o.stdout))
			}
		}
	})
}

// text is a number of bytes in lines.
func text(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[random.IntN(64)]
		if i%77 == 76 || i == size-1 {
			b[i] = '\n'
		}
	}
	return b
}

// wrote is how many bytes a process has written.
func wrote(pid int) (n int) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	_, rest, _ := strings.Cut(string(data), "wchar: ")
	fmt.Sscan(rest, &n)
	return n
}

// TestPTYSlowReader: while nobody reads, the job waits, and supervise has not taken its output; then all of it comes.
func TestPTYSlowReader(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		want := text(10 << 20)
		if err := os.WriteFile(b.dir+"/text", want, 0o644); err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		l := b.onPTY(c, nil, "sh", "-c", "echo $$ >"+b.dir+"/pid; exec dd bs=1000 status=none if="+b.dir+"/text")
		l.stdout = w
		p := b.start(l)
		w.Close()
		last, same := 0, 0
		eventually(t, "the job waits", func() error {
			now := wrote(b.pidIn("pid"))
			if now == last && now > 60000 {
				same++
			} else {
				same = 0
			}
			if last = now; same < 10 {
				return fmt.Errorf("%d bytes written", now)
			}
			return nil
		})
		if last > 200_000 {
			t.Errorf("the job has written %d bytes that nobody has read", last)
		}
		out := collect(r)
		p.wait().wantCode(0)
		got := strings.ReplaceAll(out.rest(t), "\r\n", "\n")
		out.close()
		if sha256.Sum256([]byte(got)) != sha256.Sum256(want) {
			t.Errorf("%d bytes, want %d: they differ", len(got), len(want))
		}
	})
}

// pidIn reads a pid from a file of the box; 0: it is not there yet.
func (b *box) pidIn(name string) (pid int) {
	data, _ := os.ReadFile(b.dir + "/" + name)
	if bytes.HasSuffix(data, []byte("\n")) {
		fmt.Sscan(string(data), &pid)
	}
	return pid
}

// TestPTYReaderGone: the job's terminal is hung up when there is no reader, and the job is supervised as before.
func TestPTYReaderGone(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		code   int
	}{
		"ends":    {`trap 'exit 9' HUP; echo $$ >pid; while :; do echo x; done 2>/dev/null`, 9},
		"killed":  {`echo $$ >pid; exec yes`, 128 + 1},
		"goes on": {`trap '' HUP; echo $$ >pid; while echo x; do :; done 2>/dev/null; setsid sleep 10000 & exit 4`, 4},
	} {
		t.Run(name, func(t *testing.T) {
			forEachContainment(t, func(t *testing.T, c containment) {
				b := newBox(t)
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				l := b.onPTY(c, nil, "sh", "-c", tt.script)
				l.dir, l.stdout = b.dir, w
				p := b.start(l)
				w.Close()
				var one [1]byte
				if _, err := r.Read(one[:]); err != nil || one[0] != 'x' && one[0] != 'y' {
					t.Errorf("%q, %v", one, err)
				}
				r.Close()
				p.wait().wantCode(tt.code)
			})
		})
	}
}

// TestPTYForcedUnread: the end of a job is not kept up by a reader that does not read.
func TestPTYForcedUnread(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		l := b.onPTY(c, []string{"--timeout=1"}, "yes")
		l.stdout = w
		p := b.start(l)
		p.wait().wantCode(124)

		// A job that ended by itself is waited for, until supervise is asked to end.
		l = b.onPTY(c, nil, "sh", "-c", "echo $$ >"+b.dir+"/pid; head -c 6000 /dev/zero | tr '\\0' x; exit 5")
		l.stdout = w // which is full
		p = b.start(l)
		w.Close()
		eventually(t, "the job has started", func() error {
			if b.pidIn("pid") == 0 {
				return os.ErrNotExist
			}
			return nil
		})
		if err := waitPid(b.pidIn("pid"), killPatience); err != nil {
			t.Fatal(err)
		}
		if !p.running() {
			t.Error("supervise has not waited for the reader")
		}
		p.signal(syscall.SIGTERM)
		p.wait()
	})
}

// TestPTYKilled: nothing is left of a job on a terminal when supervise, or either of the two in the fallback, is killed.
func TestPTYKilled(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for i := range rounds() / 2 {
			p := b.start(b.onPTY(c, nil, "sh", "-c", "trap '' HUP TERM; setsid sleep 10000 & sleep 10000 & echo ready; while :; do sleep 10000; done"))
			if !p.stdout.waitUntil(func(text string) bool { return strings.Contains(text, "ready") }) {
				t.Fatalf("stderr %q", p.stderr)
			}
			shoot(t, p, c == inSubreaper && i%2 == 1)
			p.release()
		}
	})
}

// TestPTYSignals: a signal to supervise is handed on to the main process.
func TestPTYSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1} {
			b := newBox(t)
			p := b.start(b.onPTY(c, nil, "sh", "-c", "trap 'echo got; exit 6' TERM INT HUP USR1; echo ready; while :; do sleep 10000 & wait $!; done"))
			if !p.stdout.waitUntil(func(text string) bool { return strings.Contains(text, "ready") }) {
				t.Fatalf("stderr %q", p.stderr)
			}
			p.signal(sig)
			o := p.wait()
			o.wantCode(6)
			if !strings.HasSuffix(o.stdout, "got\r\n") {
				t.Errorf("%v: %q", sig, o.stdout)
			}
		}
	})
}

// TestPTYByStub: the job leads its session also where supervise runs itself first: to join the cgroup, or to ignore what the
// runtime cannot while it forks.
func TestPTYByStub(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.onPTY(c, nil, "sh", "-c", leads)
		filtered, env, err := testbed.Filter{Calls: []uintptr{unix.SYS_CLONE3}, Errno: unix.ENOSYS}.Command(l.argv...)
		if err != nil {
			t.Fatal(err)
		}
		held, heldEnv, err := testbed.Held{Ignore: testbed.AllSignals, Block: testbed.AllSignals}.Command(l.argv...)
		if err != nil {
			t.Fatal(err)
		}
		for variable, argv := range map[string][]string{env: filtered, heldEnv: held} {
			l := l
			l.argv, l.env = argv, append(slices.Clone(l.env), variable)
			o := b.start(l).wait()
			o.wantCode(0)
			if o.stdout != "leads\r\n" {
				t.Errorf("%s: stdout %q, stderr %q", variable, o.stdout, o.stderr)
			}
		}
	})
}
