package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forwardable are the signals that have no meaning of their own for supervise. Not TTIN and TTOU, which the terminal sends to
// who does not own it; not URG and PROF, which the Go runtime keeps for itself.
var forwardable = []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM,
	unix.SIGIO, unix.SIGPWR, unix.SIGWINCH, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGCONT}

func TestForwarding(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, nil, adversary("signals", "-exit=7")...))
		p.expect("ready")
		for _, sig := range forwardable {
			p.signal(sig)
			p.expect("got " + unix.SignalName(sig))
		}
		p.signal(syscall.SIGTERM)
		o := p.wait()
		o.wantCode(7)
		o.wantRecord(c, "exited").wantExit(t, 7)
		for _, sig := range append(forwardable, unix.SIGTERM) {
			if n := strings.Count(o.stdout, "got "+unix.SignalName(sig)+"\n"); n != 1 {
				t.Errorf("%s arrived %d times", unix.SignalName(sig), n)
			}
		}
	})
}

// TestRealtimeSignal: systemd and container engines stop some programs with RTMIN+3.
func TestRealtimeSignal(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		const sig = 34 + 3
		b := newBox(t)
		p := b.start(b.run(c, nil, adversary("signals")...))
		p.expect("ready")
		p.signal(syscall.Signal(sig))
		p.expect(fmt.Sprintf("got signal %d", sig))
		p.closeStdin()
		p.wait().wantCode(0)
	})
}

// TestManySignals: a burst of one signal ends nothing, and at least one arrives. Signals do not queue.
func TestManySignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, nil, adversary("signals")...))
		p.expect("ready")
		for range 1000 {
			p.signal(syscall.SIGUSR1)
		}
		p.expect("got SIGUSR1")
		p.signal(syscall.SIGUSR2)
		p.expect("got SIGUSR2")
		p.closeStdin()
		p.wait().wantCode(0)
	})
}

// TestSignalAtStart: a TERM at any moment of the start ends the job, and does not get lost. Before supervise has its
// handlers the default ends supervise itself.
func TestSignalAtStart(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		random := dice(t)
		for range rounds() / 2 {
			p := b.start(b.run(c, nil, "sleep", "1000"))
			<-time.After(time.Duration(random.IntN(8000)) * time.Microsecond) // any moment will do
			p.killed.Store(true)                                              // by the TERM itself, if that is early: then the guardian sees to the rest
			p.signal(syscall.SIGTERM)
			o := p.wait()
			if o.code != 143 && o.signal != syscall.SIGTERM {
				t.Fatalf("status %d, signal %v, want 143; stderr %q", o.code, o.signal, o.stderr)
			}
			p.release()
		}
		// If it ended before there was a guardian, the next start removes its directory.
		b.start(b.run(c, nil, "true")).wait().wantCode(0)
	})
}

// TestStoppedMain: a main process that stops has not ended, and goes on when somebody continues it.
func TestStoppedMain(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, nil, sh(`echo main $$; exec 4<&0; (read x <&4; kill -CONT $$) & echo ready; kill -STOP $$; exit 3`)...))
		p.expect("ready")
		main := p.printedPid("main")
		eventually(t, "stopping the main process", func() error {
			if s := state(main); s != "T" {
				return fmt.Errorf("its state is %s", s)
			}
			return nil
		})
		p.stdin.Write([]byte("go\n"))
		p.wait().wantCode(3)
	})
}

// TestSignalWithoutMain: what is sent after the main process has ended, while leftovers keep the job going, is not an error.
func TestSignalWithoutMain(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p, release := b.lingering(c, "--leftovers=wait")
		p.signal(syscall.SIGUSR1)
		release()
		p.wait().wantCode(7)
	})
}

// TestFloodedByJob: a job that sends its supervisor signals as fast as it can keeps it from nothing, and least of all from
// seeing the end of the job.
func TestFloodedByJob(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, nil, adversary("flood", "-count=200000", "-exit=5")...))
		p.closeStdin()
		o := p.wait()
		o.wantCode(5)
		o.wantRecord(c, "exited").wantExit(t, 5)
	})
}

// TestOwnFileSizeLimit: what supervise itself cannot write for want of RLIMIT_FSIZE raises SIGXFSZ, which is not the job's.
func TestOwnFileSizeLimit(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	argv := []string{"prlimit", "--fsize=1000", bin.supervise, "run", inCgroup.flag(), "--sample", "1ms", "--samples", b.dir + "/samples", "--"}
	o := b.start(launch{argv: append(argv, sh(`until [ $(wc -c <"$0") -ge 1000 ]; do :; done; sleep 0.1; exit 3`, b.dir+"/samples")...)}).wait()
	o.wantCode(3)
	if !strings.Contains(o.stderr, "samples could not be written") {
		t.Errorf("stderr %q", o.stderr)
	}
}
