package supervisor

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A hinter is a watcher whose hints the test gives.
type hinter struct {
	r, w *os.File
	keys []int
}

func newHinter(t *testing.T) *hinter {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &hinter{r: r, w: w}
}

func (h *hinter) FD() int { return int(h.r.Fd()) }

func (h *hinter) Read() []int {
	h.r.Read(make([]byte, 1))
	return h.keys
}

func (h *hinter) hint(keys ...int) {
	h.keys = keys
	h.w.Write([]byte{0})
}

// TestWatch: a job whose last process is no child of ours ends when the watcher hints at
// it, by its key; other hints change nothing.
func TestWatch(t *testing.T) {
	v := newServing(t)
	h := newHinter(t)
	gone, watches := false, 0
	v.s.Watch = func(Containment) (Watcher, int, error) {
		watches++
		return h, 7, nil
	}
	c := &scripted{group: &group{t: t}, empty: func() (bool, error) { return gone, nil }}
	j := v.start("exit 3", func(s *Spec) { s.Containment, s.Leftovers = c, protocol.LeftoversWait })
	hints := 0
	v.s.Inputs = []Input{{FD: h.FD(), Events: func() int16 { // asked before each wait
		switch hints++; {
		case j.State() != Waiting:
			hints = 0
		case hints == 1:
			h.hint(5, 7, 7)
		case hints == 2:
			gone = true
			h.hint(5, 7)
		}
		return 0
	}}}
	v.s.Run()
	if hints < 2 || watches != 1 || len(v.ended) != 1 || len(v.s.watched) != 0 {
		t.Errorf("%d hints, watched %d times, %d ended, %d watched still", hints, watches, len(v.ended), len(v.s.watched))
	}
}

// TestWatchLate: a containment that becomes empty before it is watched gives no hint, and
// its job ends nevertheless.
func TestWatchLate(t *testing.T) {
	s, c := newScripted(t)
	h := newHinter(t)
	gone := false
	c.empty = func() (bool, error) { return gone, nil }
	s.Watch = func(Containment) (Watcher, int, error) { gone = true; return h, 7, nil }
	spec := c.shell("exit 0")
	spec.Leftovers, spec.Timeout = protocol.LeftoversWait, killLimit
	if r := run(t, s, spec); r.Cause != protocol.CauseExited || c.killed != 0 {
		t.Errorf("%s, %d kills", r.Cause, c.killed)
	}
}

// TestNoWatch: a containment that cannot be watched leaves the watcher of the others
// alone.
func TestNoWatch(t *testing.T) {
	h := newHinter(t)
	for _, no := range []struct {
		w   Watcher
		err error
	}{{nil, nil}, {h, errTest}} {
		s := &Supervisor{watcher: h, watched: map[int]*Job{}}
		s.Watch = func(Containment) (Watcher, int, error) { return no.w, 7, no.err }
		j := &Job{s: s}
		if j.listen() || s.watcher != h || len(s.watched) != 0 || j.watch != 0 {
			t.Errorf("%v, %v: watched", no.w, no.err)
		}
	}
	j := &Job{s: &Supervisor{}}
	if j.listen() {
		t.Error("watched without a Watch")
	}
}

// TestReleaseWatched: a job that was let go is not watched any more.
func TestReleaseWatched(t *testing.T) {
	s := &Supervisor{jobs: map[int]*Job{}, watched: map[int]*Job{}, alive: 1}
	j := &Job{s: s, main: 5, watch: 7, place: -1}
	s.jobs[5], s.watched[7] = j, j
	j.deadline(killLimit)
	if j.Release(); len(s.jobs)+len(s.watched)+len(s.alarms)+s.alive != 0 || j.State() != Ended {
		t.Errorf("%v %v %v %d, %v", s.jobs, s.watched, s.alarms, s.alive, j.State())
	}
}

// strays makes a job whose containment is empty, and a child that has left it.
func strays(t *testing.T, leftovers protocol.Leftovers) (s *Supervisor, spec Spec, stray int) {
	s, g := newTest(t)
	stray = child(t, "sleep", "100")
	s.Strays = func() ([]int, error) {
		if !isChild(stray) {
			return nil, nil
		}
		return []int{stray}, nil
	}
	s.Sweep = func() error { return unix.Kill(stray, unix.SIGKILL) }
	spec = shell(g, "exit 3")
	spec.Leftovers = leftovers
	return s, spec, stray
}

// TestStrays: a process that has left its containment is a leftover like any.
func TestStrays(t *testing.T) {
	for _, leftovers := range []protocol.Leftovers{protocol.LeftoversKill, protocol.LeftoversFail} {
		s, spec, stray := strays(t, leftovers)
		r := run(t, s, spec)
		if *r.LeftoversTotal != 1 || len(r.Leftovers) != 1 || r.Leftovers[0].PID != stray || status(r) != 3 {
			t.Errorf("%s: %+v", leftovers, r.Leftovers)
		}
	}
}

// TestStraysWaited: it is waited for, where leftovers are.
func TestStraysWaited(t *testing.T) {
	s, spec, stray := strays(t, protocol.LeftoversWait)
	child(t, "sleep", "0.02") // at its end the job is looked at once more
	swept := false
	s.Sweep = func() error { swept = true; return unix.Kill(stray, unix.SIGKILL) }
	s.Idle = func() { unix.Kill(stray, unix.SIGTERM) } // by now it is waited for
	if r := run(t, s, spec); swept || *r.LeftoversTotal != 1 || len(r.Leftovers) != 1 || r.Reaped != 3 {
		t.Errorf("swept %t, %d leftovers, %d reaped", swept, *r.LeftoversTotal, r.Reaped)
	}
}

// TestStraysNone: chores are none of the job's, and those of a job that was ended are
// swept up without a word.
func TestStraysNone(t *testing.T) {
	s, spec, stray := strays(t, protocol.LeftoversWait)
	s.Chore(stray, func(bool) {})
	s.NoChildren = func() bool { return true }
	s.Strays = func() ([]int, error) { t.Error("asked, though there are no children"); return nil, nil }
	if r := run(t, s, spec); *r.LeftoversTotal != 0 {
		t.Errorf("%+v", r.Leftovers)
	}
	end(stray)

	s, spec, stray = strays(t, protocol.LeftoversWait)
	chore := child(t, "sleep", "100")
	s.Chore(chore, func(bool) {})
	s.Strays = func() ([]int, error) { return []int{chore}, errTest }
	s.Sweep = func() error { end(chore); return unix.Kill(stray, unix.SIGKILL) }
	if r := run(t, s, spec); *r.LeftoversTotal != 0 || failure(r) != errTest.Error() {
		t.Errorf("%+v, %q", r.Leftovers, failure(r))
	}

	s, spec, _ = strays(t, protocol.LeftoversWait)
	spec.Argv[2] = "exec sleep 100"
	spec.Timeout = 1
	if r := run(t, s, spec); r.Cause != protocol.CauseTimeout || *r.LeftoversTotal != 0 {
		t.Errorf("%s, %+v", r.Cause, r.Leftovers)
	}
}

// TestStraysOfMany: while other jobs are alive, a stray may be one of theirs.
func TestStraysOfMany(t *testing.T) {
	s := &Supervisor{alive: 2, Strays: func() ([]int, error) { t.Error("asked"); return nil, nil }}
	child(t, "sleep", "100")
	j := &Job{s: s, empty: true}
	if j.strayed() {
		t.Error("waits for what may be another's")
	}
}
