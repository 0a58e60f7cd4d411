package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// spareUID is a user that owns nothing, and another one in each test run, as RLIMIT_NPROC counts all processes of a user. The
// kernel holds root to no such limit, so root bombs as this one.
var spareUID = 61100 + os.Getpid()%1000

// An ending is a way for a job with an adversary to come to its end, once that is set up.
type ending struct {
	name  string
	flags []string
	end   func(p *proc)
	check func(o outcome, c containment)
}

var (
	// The main process ends by itself, and what it started stays.
	byMain = ending{"main", nil, (*proc).closeStdin, func(o outcome, c containment) {
		o.wantCode(7)
		o.wantRecord(c, "exited").wantExit(o.t, 7)
	}}
	// TERM is forwarded to the main process.
	byTerm = ending{"term", nil, func(p *proc) { p.signal(syscall.SIGTERM) }, func(o outcome, c containment) {
		o.wantCode(128 + 15)
		o.wantRecord(c, "signaled").wantSignal(o.t, "SIGTERM")
	}}
	// The supervisor is shot. All there is to see is that nothing is left.
	byKill = ending{"kill-9", nil, func(p *proc) { p.signal(syscall.SIGKILL) }, func(o outcome, c containment) {
		if o.signal != syscall.SIGKILL {
			o.t.Errorf("ended by %v (status %d), want SIGKILL", o.signal, o.code)
		}
	}}
	// The main process does not end when it is asked to, so its grace is over at some point.
	byGrace = ending{"grace", []string{"--grace=100ms"}, func(p *proc) { p.signal(syscall.SIGTERM) }, func(o outcome, c containment) {
		o.wantCode(128 + 9)
		o.wantRecord(c, "killed").wantSignal(o.t, "SIGKILL")
	}}
)

// A hostile is a mode of the adversary, and what is expected of it.
type hostile struct {
	mode    string
	args    []string
	endings []ending
	lurkers int // at least so many leftovers of this name when the main process has ended by itself
	reaped  int // at least so many processes reaped then
	only    containment
	root    bool
	bare    bool                  // its leftovers show neither a command line nor memory
	prepare func(b *box) []string // more arguments
}

var usual = []ending{byMain, byTerm, byKill}

var hostiles = []hostile{
	{mode: "setsid", endings: usual, lurkers: 4},
	{mode: "daemon", endings: usual, lurkers: 4},
	{mode: "stubborn", endings: []ending{byMain, byGrace, byKill}, lurkers: 4},
	{mode: "subreaper", endings: usual, lurkers: 5},
	{mode: "stopped", endings: usual, lurkers: 4},
	{mode: "vfork", endings: usual},
	{mode: "headless", endings: usual, lurkers: 4, bare: true},
	{mode: "zombies", args: []string{"-count=2000"}, endings: usual, reaped: 2001},
	{mode: "busy", endings: usual},
	{mode: "setuid", args: []string{fmt.Sprint("-uid=", spareUID)}, endings: usual, lurkers: 4, root: true},
	{mode: "freeze", endings: usual, only: inCgroup, lurkers: 4},
	{mode: "freeze-self", endings: []ending{byKill}, only: inCgroup},
	{mode: "nest", args: []string{"-count=5"}, endings: usual, only: inCgroup, lurkers: 5},
	{mode: "move", endings: usual, prepare: elsewhere},
}

// elsewhere makes a cgroup that is not the supervisor's, for the job to move to.
func elsewhere(b *box) []string {
	needCgroup(b.t)
	g, err := makeGroup(b.group.file("elsewhere"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { os.Remove(g.path) })
	return []string{"-cgroup=" + g.path}
}

func TestAdversaries(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.mode, func(t *testing.T) {
			if h.root {
				needRoot(t)
			}
			forEachContainment(t, func(t *testing.T, c containment) {
				if h.only != "" && h.only != c {
					return
				}
				for _, e := range h.endings {
					t.Run(e.name, func(t *testing.T) { h.test(t, c, e) })
				}
			})
		})
	}
}

func (h hostile) test(t *testing.T, c containment, e ending) {
	b := newBox(t)
	args := append([]string{"-exit=7"}, h.args...)
	if h.prepare != nil {
		args = append(args, h.prepare(b)...)
	}
	p := b.start(b.run(c, e.flags, adversary(h.mode, args...)...))
	p.expect("ready")
	end := time.Now()
	e.end(p)
	o := p.wait()
	t.Logf("gone %v after the end began", p.ended.Sub(end).Round(time.Millisecond))
	e.check(o, c)
	if e.name == byMain.name {
		h.checkRecord(t, o.record)
	}
}

// checkRecord compares what the record says about the tree with what the adversary made.
func (h hostile) checkRecord(t *testing.T, r *record) {
	t.Helper()
	lurkers := 0
	for _, l := range r.Leftovers {
		if l.Comm == "lurker" {
			lurkers++
		}
		// On a busy machine no command line may be had in the time that there is.
		if l.AgeS == nil || *l.AgeS < 0 || *l.AgeS > startDeadline.Seconds() || h.bare == (l.RSSBytes != nil) || h.bare && len(l.Argv) > 0 {
			t.Errorf("record: leftover %+v", l)
		}
	}
	if lurkers < h.lurkers {
		t.Errorf("record: %d lurkers among the leftovers, want at least %d: %+v", lurkers, h.lurkers, r.Leftovers)
	}
	if r.Reaped == nil || *r.Reaped < h.reaped {
		t.Errorf("record: reaped %s, want at least %d", orNull(r.Reaped), h.reaped)
	}
}

func orNull[T any](p *T) string {
	if p == nil {
		return "null"
	}
	return fmt.Sprint(*p)
}

// TestForkBomb ends a bomb by the death of its main process, and by that of supervise. How long it takes is in the log;
// integration/bench measures it.
func TestForkBomb(t *testing.T) {
	shot := map[string]func(p *proc) int{
		"main":      func(p *proc) int { return p.printedPid("main") },
		"supervise": (*proc).pid,
	}
	counts := []int{200, 1000}
	if testing.Short() {
		counts = counts[:1]
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, count := range counts {
			for name, victim := range shot {
				t.Run(fmt.Sprintf("%d/kill %s", count, name), func(t *testing.T) {
					took := bombAway(t, c, count, victim)
					t.Logf("%s, %d processes: gone after %v", c, count, took.Round(time.Millisecond))
				})
			}
		}
	})
}

// bombAway lets a bomb grow to its limit and shoots a process, and returns how long all the others live after it.
func bombAway(t *testing.T, c containment, count int, victim func(p *proc) int) time.Duration {
	b := newBox(t)
	args := []string{"-count=" + strconv.Itoa(count)}
	if os.Geteuid() == 0 {
		args = append(args, "-uid="+strconv.Itoa(spareUID))
	}
	p := b.start(b.run(c, nil, adversary("bomb", args...)...))
	p.expect("ready")
	pid := victim(p)
	if pid == p.pid() {
		p.signal(syscall.SIGKILL)
	} else {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	waitPid(pid, killPatience)
	start := time.Now()
	atEOF(p.leak, killPatience)
	took := time.Since(start)
	o := p.wait()
	if pid != p.pid() {
		o.wantCode(128 + 9)
		o.wantRecord(c, "signaled").wantSignal(t, "SIGKILL")
	}
	return took
}

// TestMainElsewhere: a main process that has left the job's cgroup, as `podman run` does, hears of the end like the others.
// How it is killed, timeouts has.
func TestMainElsewhere(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	l := b.run(inCgroup, []string{"--grace=50s"}, sh(moved, "sh", "exit 9")...)
	l.env = []string{strings.Replace(elsewhere(b)[0], "-cgroup", "ELSEWHERE", 1)}
	p := b.start(l)
	p.expect("ready")
	p.signal(syscall.SIGTERM)
	o := p.wait()
	o.wantCode(9)
	o.wantRecord(inCgroup, "killed").wantExit(t, 9)
	if o.stderr != "" {
		t.Errorf("stderr %q", o.stderr)
	}
}
