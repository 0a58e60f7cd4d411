package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// rounds is how often the supervisor is shot at a random moment.
func rounds() int {
	if testing.Short() {
		return 20
	}
	return 200
}

// dice are random numbers whose seed is in the log, and can be given again in SUPERVISE_TEST_SEED.
func dice(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SUPERVISE_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SUPERVISE_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// busyArgs is a tree that changes all the time, and yet lets the machine do something else.
var busyArgs = []string{"-count=4", "-pause=200"}

// TestKillSupervisor shoots the supervisor at a random moment of a busy tree, each time in the same root: the session of the
// one that died must not be in the way of the next.
func TestKillSupervisor(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		random := dice(t)
		var worst time.Duration
		for i := range rounds() {
			p := b.start(b.run(c, nil, adversary("busy", busyArgs...)...))
			p.expect("ready")
			// The moment is random by the progress of the tree.
			if !p.stdout.waitBytes(random.IntN(500)) {
				t.Fatalf("round %d: the tree ended by itself: %q", i, p.stderr.String())
			}
			worst = max(worst, shoot(t, p, c == inSubreaper && i%2 == 1))
			p.release()
			if b.group != nil && len(b.group.sessions()) > 0 {
				t.Fatalf("round %d: cgroups left: %q", i, b.group.sessions())
			}
			if t.Failed() {
				t.Fatalf("round %d", i)
			}
		}
		t.Logf("%d rounds, all gone after %v at most", rounds(), worst.Round(time.Millisecond))
	})
}

// shoot kills the supervisor, or the second process of the fallback, and returns when all is gone and how long it took.
func shoot(t *testing.T, p *proc, inner bool) time.Duration {
	t.Helper()
	start := time.Now()
	if inner {
		pids := testbed.Children(p.pid())
		if len(pids) != 1 {
			t.Fatalf("the guard has the children %s, want the one supervisor", describe(pids))
		}
		p.killed.Store(true) // the guard sees to it, and ends by itself
		syscall.Kill(pids[0], syscall.SIGKILL)
	} else {
		p.signal(syscall.SIGKILL)
	}
	o := p.wait()
	if inner && o.code == 0 {
		t.Errorf("the supervisor was killed, and the guard exits 0; stderr %q", o.stderr)
	}
	return time.Since(start)
}

// TestKillAtStart shoots the supervisor while it starts up, when there may be no guardian yet: then there may be no job either.
// A directory may be left, without a process, for the next start to remove.
func TestKillAtStart(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		b.staleOK = true // killed before it had a guardian, it leaves an empty session to the next one
		random := dice(t)
		for i := range rounds() {
			p := b.start(b.run(c, nil, adversary("daemon")...))
			// Any moment will do: this is no wait for something to have happened.
			<-time.After(time.Duration(random.IntN(8000)) * time.Microsecond)
			p.signal(syscall.SIGKILL)
			p.wait()
			p.release()
			if t.Failed() {
				t.Fatalf("round %d", i)
			}
		}
		o := b.start(b.run(c, nil, "true")).wait()
		o.wantCode(0) // and box.close finds no session of any round
	})
}

// TestKillNested: a process that has left the cgroup of its job ends with its own supervise and with the one around that, be they
// two deep or, where no mark is left to be had, three.
func TestKillNested(t *testing.T) {
	needCgroup(t)
	for _, deep := range []int{2, 3} {
		for _, shot := range []string{"outer", "inner"} {
			t.Run(fmt.Sprintf("%s of %d", shot, deep), func(t *testing.T) {
				b := newBox(t)
				inner := []string{bin.supervise, "run", "--contain=cgroup", "--"}
				argv := append(slices.Clone(inner), adversary("move", elsewhere(b)...)...)
				for range deep - 2 {
					argv = append(slices.Clone(inner), argv...)
				}
				const script = `exec 4<&0; "$@" <&4 & echo inner $!; wait; read x <&4`
				p := b.start(b.run(inCgroup, nil, append(sh(script, "sh"), argv...)...))
				p.expect("ready")
				pid := p.printedPid("inner")
				if shot == "outer" {
					p.signal(syscall.SIGKILL)
					byKill.check(p.wait(), inCgroup)
					return
				}
				syscall.Kill(pid, syscall.SIGKILL)
				if deep == 2 {
					eventually(t, "the end of the inner job", func() error { return noneNamed("adversary", "lurker") })
				}
				p.closeStdin()
				p.wait()
			})
		}
	}
}

// noneNamed is an error that tells of descendants with one of these names.
func noneNamed(names ...string) error {
	all := descendants()
	if named := slices.DeleteFunc(all, func(pid int) bool { return !slices.Contains(names, comm(pid)) }); len(named) > 0 {
		return errors.New(describe(named))
	}
	return nil
}

// TestNoGuard: without a guardian there is one process less, and everything else is the same.
func TestNoGuard(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, []string{"--no-guard"}, adversary("daemon", "-exit=7")...))
		p.expect("ready")
		for _, pid := range testbed.Children(p.pid()) {
			if name := comm(pid); name != "adversary" && name != "lurker" {
				t.Errorf("--no-guard, but the supervisor has the child %s", describe([]int{pid}))
			}
		}
		p.closeStdin()
		byMain.check(p.wait(), c)
	})
}

// TestGuardian: a job that ends by itself leaves no guardian behind, and with it the supervisor has just one child more.
func TestGuardian(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	p := b.start(b.run(inCgroup, nil, adversary("hold", "-exit=7")...))
	p.expect("ready")
	guardianOf(t, p.pid())
	p.closeStdin()
	byMain.check(p.wait(), inCgroup)
}

// TestGuardianKilled: another guardian takes the place of one that was killed, any number of times, and the job ends as ever; or
// by it, when the supervisor is killed later.
func TestGuardianKilled(t *testing.T) {
	needCgroup(t)
	for _, dies := range []bool{false, true} {
		b := newBox(t)
		p := b.start(b.run(inCgroup, nil, adversary("daemon", "-exit=7")...))
		p.expect("ready")
		pid := 0
		for range 3 {
			next := 0
			eventually(t, "another guardian", func() error {
				if next = guardianOf(t, p.pid()); next == pid {
					return errors.New("it is the one that was killed")
				}
				return nil
			})
			pid = next
			syscall.Kill(pid, syscall.SIGKILL)
			waitPid(pid, killPatience)
		}
		if !dies {
			p.closeStdin()
			byMain.check(p.wait(), inCgroup)
			continue
		}
		eventually(t, "another guardian", func() error {
			if guardianOf(t, p.pid()) == pid {
				return errors.New("it is the one that was killed")
			}
			return nil
		})
		p.signal(syscall.SIGKILL)
		byKill.check(p.wait(), inCgroup)
	}
}

// TestFosterKilled: without a cgroup the job ends with its guardian, which nothing could replace, and the record says so. To be
// stopped, and what would be a crash, is nothing to the guardian.
func TestFosterKilled(t *testing.T) {
	b := newBox(t)
	p := b.start(b.run(inSubreaper, nil, adversary("daemon", "-exit=7")...))
	p.expect("ready")
	guardian := guardianOf(t, p.pid())
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE} {
		syscall.Kill(guardian, sig)
	}
	syscall.Kill(guardian, syscall.SIGSTOP) // the supervisor sees to that
	eventually(t, "the guardian goes on", func() error {
		if s := state(guardian); s != "S" {
			return errors.New(s)
		}
		return nil
	})
	syscall.Kill(guardian, syscall.SIGKILL)
	o := p.wait()
	o.wantCode(125)
	if !strings.Contains(o.stderr, "crashed; the job is ended") {
		t.Errorf("stderr %q", o.stderr)
	}
	if r := o.wantRecord(inSubreaper, "killed"); r.Error == nil || !strings.Contains(*r.Error, "guardian") {
		t.Errorf("record: error %v", r.Error)
	}
}

// guardianOf waits until the guardian of a supervisor has its name, which it gives itself: it may do so later than the job begins.
func guardianOf(t *testing.T, supervisor int) (guardian int) {
	t.Helper()
	eventually(t, "the guardian among the children of the supervisor", func() error {
		for _, pid := range testbed.Children(supervisor) {
			if comm(pid) == "guardian" {
				guardian = pid
				return nil
			}
		}
		return errors.New(describe(testbed.Children(supervisor)))
	})
	return guardian
}

// TestNamedApart: a job in a cgroup that was named, apart from supervise's own, is ended by what ends the latter: the guardian is not
// in it. At the end of a job nothing of it is left either.
func TestNamedApart(t *testing.T) {
	needCgroup(t)
	for _, killed := range []bool{true, false} {
		b := newBox(t)
		around, err1 := makeGroup(b.group.file("around"))
		named, err2 := makeGroup(b.group.file("named"))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		l := b.supervise([]string{"--cgroup", named.path}, adversary("daemon", "-exit=7")...)
		l.argv = append([]string{"sh", "-c", `echo 0 >"$0" && exec "$@"`, around.file("cgroup.procs")}, l.argv...)
		p := b.start(l)
		p.expect("ready")
		if killed {
			p.killed.Store(true)
			if err := os.WriteFile(around.file("cgroup.kill"), []byte("1"), 0); err != nil {
				t.Fatal(err)
			}
			p.wait()
		} else {
			p.closeStdin()
			byMain.check(p.wait(), inCgroup)
		}
		eventually(t, "the end of all that was made in the cgroup", func() error {
			if left := named.dirs(); len(left) > 0 {
				return fmt.Errorf("left: %q", left)
			}
			return nil
		})
		for _, g := range []*group{around, named} {
			if err := g.destroy(); err != nil {
				t.Error(err)
			}
		}
	}
}
