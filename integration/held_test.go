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

// holding starts a program that finds signals ignored and blocked.
func (b *box) holding(h testbed.Held, l launch) *proc {
	b.t.Helper()
	args, env, err := h.Command(l.argv...)
	if err != nil {
		b.t.Fatal(err)
	}
	l.argv, l.env = args, append(l.env, env)
	return b.start(l)
}

// heldSets are what the callers of supervise ignore and block: nohup, a shell for what it starts in the background, systemd,
// Python, careless daemons; and everything. All signals are tried one by one as well if there is time.
func heldSets() []testbed.Held {
	sets := []testbed.Held{
		{},
		{Ignore: testbed.Signals(unix.SIGHUP)},
		{Ignore: testbed.Signals(unix.SIGINT, unix.SIGQUIT)},
		{Ignore: testbed.Signals(unix.SIGPIPE)},
		{Ignore: testbed.Signals(unix.SIGPIPE, unix.SIGXFSZ), Block: testbed.Signals(unix.SIGTERM, unix.SIGUSR1)},
		{Ignore: testbed.Signals(unix.SIGCHLD)},
		{Ignore: testbed.AllSignals},
		{Block: testbed.AllSignals},
		{Ignore: testbed.AllSignals, Block: testbed.AllSignals},
	}
	if !testing.Short() {
		testbed.Each(testbed.AllSignals, func(sig syscall.Signal) {
			one := testbed.Signals(sig)
			sets = append(sets, testbed.Held{Block: one})
			if sig != 33 { // the C library's own, which is left out: see package signals
				sets = append(sets, testbed.Held{Ignore: one})
			}
		})
	}
	return sets
}

// showHeld prints what a program finds ignored and blocked: cat touches none of it.
var showHeld = []string{"cat", "/proc/self/status"}

// heldIn is what showHeld has printed.
func heldIn(status string) (lines string) {
	for line := range strings.Lines(status) {
		if strings.HasPrefix(line, "SigBlk:") || strings.HasPrefix(line, "SigIgn:") {
			lines += line
		}
	}
	return lines
}

// TestHeldByJob: the job ignores and blocks what supervise was told to, as it does without supervise.
func TestHeldByJob(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for _, h := range heldSets() {
			bare := b.holding(h, launch{argv: showHeld}).wait()
			o := b.holding(h, b.run(c, nil, showHeld...)).wait()
			o.wantCode(0)
			if heldIn(bare.stdout) != h.String() || heldIn(o.stdout) != h.String() {
				t.Errorf("want\n%sbare\n%sthe job has\n%s", h, heldIn(bare.stdout), heldIn(o.stdout))
			}
		}
	})
}

// TestHeldFailures: a command that cannot be executed, or is a script without #!, is what it is without held signals.
func TestHeldFailures(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		script := b.dir + "/script"
		if err := os.WriteFile(script, []byte("exit $1"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			argv []string
			code int
		}{{[]string{script, "5"}, 5}, {[]string{b.dir}, 126}, {[]string{b.dir + "/none"}, 127}, {sh("kill -TERM $$"), 128 + 15}} {
			o := b.holding(testbed.Held{Ignore: testbed.Signals(unix.SIGCHLD)}, b.run(c, nil, tt.argv...)).wait()
			o.wantCode(tt.code)
		}
	})
}

// TestHeldSignals: signals that were ignored or blocked end neither supervise nor the job, and begin no grace period.
func TestHeldSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, h := range []testbed.Held{{Ignore: testbed.AllSignals}, {Block: testbed.AllSignals}} {
			b := newBox(t)
			p := b.holding(h, b.run(c, []string{"--grace=10ms"}, sh("echo ready; read x; exit 3")...))
			p.expect("ready")
			testbed.Each(testbed.AllSignals, p.signal)
			p.closeStdin()
			o := p.wait()
			o.wantCode(3)
			o.wantRecord(c, "exited").wantExit(t, 3)
		}
	})
}

// TestHeldWithoutMain: nor do they end what the main process has left, which is waited for.
func TestHeldWithoutMain(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		h := testbed.Held{Ignore: testbed.AllSignals}
		p := b.holding(h, b.run(c, []string{"--leftovers=wait"}, sh("exec 4<&0; (read x <&4; echo last) & echo main $$; echo ready; exit 7")...))
		p.expect("ready")
		main := p.printedPid("main")
		eventually(t, "reaping the main process", func() error {
			if s := state(main); s != "" {
				return fmt.Errorf("it is in state %s", s)
			}
			return nil
		})
		testbed.Each(testbed.AllSignals, p.signal)
		p.closeStdin()
		p.expect("last")
		p.wait().wantCode(7)
	})
}

// TestHeldSignalsArrive: a job that has changed its mind, and handles them, gets them from supervise.
func TestHeldSignalsArrive(t *testing.T) {
	list := []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGTERM}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, h := range []testbed.Held{{Ignore: testbed.Signals(list...)}, {Block: testbed.Signals(list...)}} {
			b := newBox(t)
			p := b.holding(h, b.run(c, nil, adversary("signals")...))
			p.expect("ready")
			for _, sig := range list {
				p.signal(sig)
				p.expect("got " + unix.SignalName(sig))
			}
			p.closeStdin()
			p.wait().wantCode(0)
		}
	})
}

// TestTerminalStops: SIGTTIN and SIGTTOU stop supervise, as any program, and do not concern the job.
func TestTerminalStops(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, nil, sh(`echo main $$; exec "$0" signals -exit=7`, bin.adversary)...)
		l.attr.Setpgid = true // else its group may be an orphaned one, which these do not stop
		p := b.start(l)
		p.expect("ready")
		main := p.printedPid("main")
		for stop, work := range map[syscall.Signal]syscall.Signal{unix.SIGTTIN: unix.SIGUSR1, unix.SIGTTOU: unix.SIGUSR2} {
			p.signal(stop)
			eventually(t, "stopping supervise", func() error { return wantState(p.pid(), "T") })
			unix.Kill(main, work)
			p.expect("got " + unix.SignalName(work))
			p.signal(unix.SIGCONT)
		}
		p.signal(unix.SIGTERM)
		o := p.wait()
		o.wantCode(7)
		if strings.Contains(o.stdout, "got SIGTT") {
			t.Errorf("the job got %q", o.stdout)
		}
	})
}

func wantState(pid int, want string) error {
	if s := state(pid); s != want {
		return fmt.Errorf("its state is %s, want %s", s, want)
	}
	return nil
}
