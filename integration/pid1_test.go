package integration

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// asPid1 wraps a launch so that supervise is PID 1 of a fresh pid namespace.
func (b *box) asPid1(l launch) launch {
	b.t.Helper()
	needRoot(b.t)
	path := testbed.Program(b.t, "unshare")
	wrap := []string{path, "--pid", "--fork", "--kill-child", "--mount-proc", "--"}
	testbed.Need(b.t, "pid namespaces", exec.Command(path, append(wrap[1:], "true")...).Run())
	l.argv = append(wrap, l.argv...)
	return l
}

// initOf is PID 1 of the namespace, as it is known outside.
func (p *proc) initOf() int {
	p.box.t.Helper()
	pids := testbed.Children(p.pid())
	if len(pids) != 1 {
		p.box.t.Fatalf("unshare has the children %s", describe(pids))
	}
	return pids[0]
}

// TestPid1Reaps: orphans of a busy tree do not pile up as zombies, and each is counted.
func TestPid1Reaps(t *testing.T) {
	const dots = 1000
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.asPid1(b.run(c, nil, adversary("busy", "-exit=7", "-pause=200")...)))
		p.expect("ready")
		p.stdout.waitBytes(dots)
		eventually(t, "looking for zombies that pile up", func() error { // there is always one that has just ended
			if n := zombies(p.initOf()); n > 100 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
		p.closeStdin()
		o := p.wait()
		byMain.check(o, c)
		if r := o.record; r.Reaped == nil || *r.Reaped < dots/2 {
			t.Errorf("record: reaped %s, want about %d", orNull(r.Reaped), dots)
		}
	})
}

// zombies counts the children of a process that wait to be reaped.
func zombies(parent int) (n int) {
	for _, pid := range testbed.Children(parent) {
		if state(pid) == "Z" {
			n++
		}
	}
	return n
}

// TestPid1Forwards: the kernel gives PID 1 only the signals that it has a handler for.
func TestPid1Forwards(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.asPid1(b.run(c, nil, adversary("signals", "-exit=7")...)))
		p.expect("ready")
		for sig, name := range map[syscall.Signal]string{syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGUSR1: "SIGUSR1"} {
			syscall.Kill(p.initOf(), sig)
			p.expect("got " + name)
		}
		syscall.Kill(p.initOf(), syscall.SIGTERM)
		byMain.check(p.wait(), c)
	})
}

// TestPid1Leftovers: the end is the same, and as ever it comes before the exit.
func TestPid1Leftovers(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, e := range []ending{byMain, {"term", nil, func(p *proc) { syscall.Kill(p.initOf(), syscall.SIGTERM) }, byTerm.check}} {
			t.Run(e.name, func(t *testing.T) {
				b := newBox(t)
				p := b.start(b.asPid1(b.run(c, nil, adversary("daemon", "-exit=7")...)))
				p.expect("ready")
				e.end(p)
				e.check(p.wait(), c)
			})
		}
	})
}

// TestPid1Killed: the kernel ends the namespace with its PID 1. The session's directories are outside of it.
func TestPid1Killed(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.asPid1(b.run(c, nil, adversary("daemon")...)))
		p.expect("ready")
		p.killed.Store(true)
		syscall.Kill(p.initOf(), syscall.SIGKILL)
		p.wait()
		// The guardian ends with the namespace too, so the next start removes what is left.
		b.start(b.run(c, nil, "true")).wait().wantCode(0)
	})
}

// TestForeignProc: with the /proc of another PID namespace the numbers there are strangers'. That is refused.
func TestForeignProc(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.asPid1(b.run(c, nil, "sh", "-c", "echo ran"))
		l.argv = slices.DeleteFunc(l.argv, func(arg string) bool { return arg == "--mount-proc" })
		o := b.start(l).wait()
		o.wantCode(125)
		if o.stdout != "" || !strings.Contains(o.stderr, "another PID namespace") {
			t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
		}
	})
}

// TestWithoutProc: where there is no /proc at all nothing is run, and one line says what is missing.
func TestWithoutProc(t *testing.T) {
	needRoot(t)
	hide := sh(`mount -t tmpfs none /proc && exec "$@"`, "sh", bin.supervise)
	hide = append([]string{"unshare", "--mount", "--"}, hide...)
	testbed.Need(t, "mount namespaces", exec.Command("unshare", "--mount", "true").Run())
	for _, command := range [][]string{{"run", "echo", "ran"}, {"serve"}} {
		o := newBox(t).start(launch{argv: append(slices.Clone(hide), command...)}).wait()
		o.wantCode(125)
		if o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "/proc") {
			t.Errorf("%s: stdout %q, stderr %q", command[0], o.stdout, o.stderr)
		}
	}
}
