package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// lingering starts a job whose main process has ended, with status 7, and whose one child ends when release is called, with a
// dot.
func (b *box) lingering(c containment, flags ...string) (p *proc, release func()) {
	b.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	l := b.run(c, flags, sh(`echo main $$; exec "$0" linger -count=1 -exit=7`, bin.adversary)...)
	l.extra = []*os.File{r}
	p = b.start(l)
	r.Close()
	release = func() { w.Close() } // a second Close does nothing
	b.t.Cleanup(release)
	p.expect("ready")
	main := p.printedPid("main")
	p.closeStdin()
	if err := waitPid(main, killPatience); err != nil {
		b.t.Fatal(err)
	}
	return p, release
}

// untilExec is shell that waits until its last background child is no shell any more.
const untilExec = ` while [ "$(cat /proc/$!/comm)" = sh ]; do :; done; `

func TestLeftoversKill(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, flags := range [][]string{nil, {"--leftovers=kill"}, {"--leftovers", "kill"}} {
			b := newBox(t)
			o := b.start(b.run(c, flags, sh("sleep 1000 &"+untilExec+"exit 5")...)).wait()
			o.wantCode(5)
			if r := o.wantRecord(c, "exited"); len(r.Leftovers) != 1 || !r.hasLeftover("sleep") {
				t.Errorf("record: leftovers %+v, want the one sleep", r.Leftovers)
			}
		}
	})
}

// TestLeftoversLong: what leftovers have as their command lines has its bounds, and is said to be cut.
func TestLeftoversLong(t *testing.T) {
	const script = `long=$(printf %0120000d 1000); for i in $(seq 20); do sleep $long &` + untilExec + `done; sleep 1000 &` + untilExec
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--summary"}, sh(script)...)).wait()
		total := 0
		for _, left := range o.wantRecord(c, "exited").Leftovers {
			size := len(strings.Join(left.Argv, "\x00"))
			if total += size; size > 4<<10 || left.ArgvCut != (size > 1000) {
				t.Errorf("%d bytes of a command line, cut: %t", size, left.ArgvCut)
			}
		}
		if n := len(o.record.Leftovers); n == 0 || total > 64<<10 || len(o.stderr) > 80<<10 {
			t.Errorf("%d leftovers with %d bytes, in the summary %d", n, total, len(o.stderr))
		}
	})
}

// TestLeftoversHang: a leftover whose command line cannot be read, for the kernel waits for its memory, is ended like any and
// is listed without it. That of another is listed all the same.
func TestLeftoversHang(t *testing.T) {
	testbed.NeedHang(t, bin.adversary)
	forEachContainment(t, func(t *testing.T, c containment) {
		for mode, code := range map[string]int{"kill": 7, "fail": 125} {
			t.Run(mode, func(t *testing.T) {
				b := newBox(t)
				const script = `"$0" hang </dev/null; sleep 1000 &` + untilExec + `exit 7`
				l := b.run(c, []string{"--leftovers", mode}, append(sh(script), bin.adversary)...)
				l.deadline = 20 * time.Second
				o := b.start(l).wait()
				o.wantCode(code)
				r := o.wantRecord(c, "exited")
				if len(r.Leftovers) != 3 || !r.hasLeftover("lurker") || !r.hasLeftover("sleep") {
					t.Errorf("record: leftovers %+v, want the server, its victim and sleep", r.Leftovers)
				}
				for _, left := range r.Leftovers {
					if hung := left.Comm == "lurker"; hung != (len(left.Argv) == 0) {
						t.Errorf("record: leftover %+v", left)
					}
				}
			})
		}
	})
}

// TestLeftoversHangWait: nor does such a process keep supervise from waiting, and from ending that.
func TestLeftoversHangWait(t *testing.T) {
	testbed.NeedHang(t, bin.adversary)
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, []string{"--leftovers=wait", "--grace=0"}, append(sh(`echo main $$; "$0" hang </dev/null; exit 7`), bin.adversary)...)
		l.deadline = 20 * time.Second
		p := b.start(l)
		p.expect("ready")
		main := p.printedPid("main")
		if err := waitPid(main, killPatience); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGTERM)
		o := p.wait()
		o.wantCode(137)
		if r := o.wantRecord(c, "killed"); !r.hasLeftover("lurker") {
			t.Errorf("record: leftovers %+v", r.Leftovers)
		}
	})
}

func TestLeftoversWait(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p, release := b.lingering(c, "--leftovers=wait")
		release()
		o := p.wait()
		o.wantCode(7)
		if !strings.HasSuffix(o.stdout, "\nready\n.") {
			t.Errorf("supervise has not waited for the leftover: stdout %q", o.stdout)
		}
		o.wantRecord(c, "exited").wantExit(t, 7)
	})
}

// TestLeftoversWaitSignal: a signal ends the waiting, although there is no main process to forward it to: what is waited for
// gets it.
func TestLeftoversWaitSignal(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
			b := newBox(t)
			p, _ := b.lingering(c, "--leftovers=wait")
			p.signal(sig)
			o := p.wait()
			o.wantCode(128 + int(sig))
			o.wantRecord(c, "killed").wantExit(t, 7)
		}
	})
}

// TestLeftoversWaitSaves: what is waited for may catch the signal, and has the grace period for its end.
func TestLeftoversWaitSaves(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		const script = `echo main $$; sh -c 'trap "echo saved; exit" TERM; echo ready; while :; do sleep 1; done' & exit 7`
		p := b.start(b.run(c, []string{"--leftovers=wait"}, sh(script)...))
		p.expect("ready")
		if err := waitPid(p.printedPid("main"), killPatience); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGTERM)
		o := p.wait()
		o.wantCode(128 + int(syscall.SIGTERM))
		if !strings.HasSuffix(o.stdout, "saved\n") {
			t.Errorf("stdout %q", o.stdout)
		}
	})
}

// TestLeftoversWaitCut: what ends the job while it waits is told as its cause, by the record and by the status.
func TestLeftoversWaitCut(t *testing.T) {
	const idle, busy = `sleep 1000 & exit 7`, `while :; do :; done & exit 7`
	const unlink = `m=$$; (while [ -e /proc/$m ]; do sleep 0.01; done; rm %s; exec sleep 1000) & exit 7`
	forEachContainment(t, func(t *testing.T, c containment) {
		gone := filepath.Join(t.TempDir(), "gone")
		for _, tt := range []struct {
			flags  []string
			script string
			cause  string
			code   int
		}{
			{[]string{"--timeout=0.2", "--grace=0"}, idle, "timeout", 124},
			{[]string{"--timeout=0.2"}, idle, "timeout", 124},
			{[]string{"--cpu-timeout=0.2", "--grace=0"}, busy, "cpu-timeout", 124},
			{[]string{"--while-linked=" + gone}, fmt.Sprintf(unlink, gone), "owner-gone", 137},
			{[]string{"--timeout=1m"}, `sleep 0.1 & exit 7`, "exited", 7},
		} {
			if c == inSubreaper && tt.cause == "cpu-timeout" {
				continue // it needs a cgroup
			}
			if err := os.WriteFile(gone, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			b := newBox(t)
			o := b.start(b.run(c, append(tt.flags, "--leftovers=wait"), sh(tt.script)...)).wait()
			o.wantCode(tt.code)
			o.wantRecord(c, tt.cause)
		}
	})
}

func TestLeftoversFail(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--leftovers=fail"}, sh("sleep 1000 &"+untilExec+"tail -f /dev/null &"+untilExec)...)).wait()
		o.wantCode(125)
		for _, name := range []string{"sleep", "tail"} {
			if !strings.Contains(o.stderr, name) {
				t.Errorf("stderr %q does not name %s", o.stderr, name)
			}
			if !o.wantRecord(c, "exited").hasLeftover(name) {
				t.Errorf("record: leftovers %+v, want %s", o.record.Leftovers, name)
			}
		}
	})
}

// TestLeftoversFailWithout: without leftovers the status is the main process's.
func TestLeftoversFailWithout(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--leftovers=fail"}, sh("sleep 0 & wait; exit 6")...)).wait()
		o.wantCode(6)
		if r := o.wantRecord(c, "exited"); len(r.Leftovers) != 0 {
			t.Errorf("record: leftovers %+v", r.Leftovers)
		}
	})
}

// TestLeftoversThatEnd: a child that ends at about the same time as the main process is no leftover by being a zombie.
func TestLeftoversThatEnd(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--leftovers=fail"}, adversary("zombies", "-count=50", "-exit=6")...))
		o.expect("ready")
		o.closeStdin()
		o.wait().wantCode(6)
	})
}

// TestLeftoversOutside: a process that left the job's cgroup is a leftover like any.
func TestLeftoversOutside(t *testing.T) {
	needCgroup(t)
	const script = `(echo 0 >"$0/cgroup.procs" && exec cat <&4) & while ! grep -q elsewhere /proc/$!/cgroup; do :; done;` + untilExec +
		`echo main $$; exit 5`
	for mode, code := range map[string]int{"kill": 5, "fail": 125, "wait": 5} {
		t.Run(mode, func(t *testing.T) {
			b := newBox(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			dir := strings.TrimPrefix(elsewhere(b)[0], "-cgroup=")
			l := b.run(inCgroup, []string{"--leftovers", mode}, append(sh(script), dir)...)
			l.extra = []*os.File{r}
			p := b.start(l)
			r.Close()
			if mode == "wait" {
				p.stdout.waitUntil(func(text string) bool { return strings.HasSuffix(text, "\n") })
				main := p.printedPid("main")
				eventually(t, "supervise sees the end of the main process", func() error {
					if s := state(main); s != "" || !asleep(p.pid()) {
						return fmt.Errorf("its state is %q", s)
					}
					return nil
				})
				w.WriteString("it was waited for")
				w.Close()
			}
			o := p.wait()
			o.wantCode(code)
			if r := o.wantRecord(inCgroup, "exited"); len(r.Leftovers) != 1 || !r.hasLeftover("cat") {
				t.Errorf("record: leftovers %+v, want the one cat", r.Leftovers)
			}
			if waited := strings.HasSuffix(o.stdout, "it was waited for"); waited != (mode == "wait") {
				t.Errorf("stdout %q", o.stdout)
			}
		})
	}
}
