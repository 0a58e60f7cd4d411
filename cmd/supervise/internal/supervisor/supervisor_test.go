package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

func TestStartFails(t *testing.T) {
	s := &Supervisor{}
	if _, err := s.Start(Spec{Containment: &group{}, Path: "/no/such", Argv: []string{"x"}, Attr: &syscall.ProcAttr{}}); err != unix.ENOENT {
		t.Error(err)
	}
}

func TestInputs(t *testing.T) {
	s, g := newTest(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("abc")
	w.Close()
	spec, end := held(t, g)
	var got []byte
	s.Inputs = []Input{{FD: int(r.Fd()), Read: func() bool {
		var b [2]byte
		n, _ := r.Read(b[:])
		got = append(got, b[:n]...)
		if n == 0 {
			end.Close()
		}
		return n > 0
	}}}
	run(t, s, spec)
	if string(got) != "abc" || len(s.Inputs) != 0 {
		t.Errorf("read %q, %d inputs left", got, len(s.Inputs))
	}
}

// TestStartProgram: a file that is executable and of no known format is a shell script.
func TestStartProgram(t *testing.T) {
	s, g := newTest(t)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("exit $(($1 + 1))\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := shell(g, "")
	spec.Path, spec.Argv = script, []string{"anything", "5"}
	if _, err := s.StartProgram(spec); err != nil {
		t.Fatal(err)
	}
	if r := s.Run()[0]; status(r) != 6 {
		t.Errorf("exit %d", status(r))
	}
}

// TestJob: what a job tells of itself; what it was started with is not kept.
func TestJob(t *testing.T) {
	s, g := newTest(t)
	before := time.Now()
	j := start(t, s, shell(g, "exit 3"))
	if j.PID() != g.leader || j.HasExited() || j.State() != Running || j.Started().Before(before) {
		t.Errorf("%+v", j)
	}
	if j.Argv != nil || j.Attr != nil {
		t.Error("the arguments are kept")
	}
	s.Run()
	if !j.HasExited() || j.State() != Ended || !j.EndedUnkilled() {
		t.Errorf("%+v", j)
	}
}

// TestDrop: an input that is dropped is not read, also if it was ready in the same round.
func TestDrop(t *testing.T) {
	s, g := newTest(t)
	spec, end := held(t, g)
	var r [2]*os.File
	for i := range r {
		var w *os.File
		var err error
		if r[i], w, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		defer r[i].Close()
		w.Close()
	}
	s.Inputs = []Input{
		{FD: int(r[0].Fd()), Read: func() bool {
			s.Drop(int(r[1].Fd()))
			s.Inputs = append(s.Inputs, Input{FD: int(r[0].Fd()), Read: func() bool { // which is ready next time
				end.Close()
				return false
			}})
			return false
		}},
		{FD: int(r[1].Fd()), Read: func() bool { t.Error("read"); return false }},
	}
	run(t, s, spec)
	if len(s.Inputs) != 0 {
		t.Errorf("%d inputs left", len(s.Inputs))
	}
}

// TestDropQuiet: an input that is dropped in a round without any is not waited for.
func TestDropQuiet(t *testing.T) {
	s := &Supervisor{Inputs: []Input{{FD: 0, Read: func() bool { t.Error("read"); return true }}}}
	s.Drop(0)
	if p := s.list(); len(p.fds) != 0 {
		t.Errorf("%v", p.fds)
	}
	if s.readInputs([]bool{true}); len(s.Inputs) != 0 {
		t.Errorf("%d inputs", len(s.Inputs))
	}
}

// TestInputEvents: an input that wants nothing is not waited for, not even for a
// hang-up; by default it is read.
func TestInputEvents(t *testing.T) {
	var events int16
	s := &Supervisor{Inputs: []Input{{FD: 5}, {FD: 6, Events: func() int16 { return events }}}}
	if p := s.list(); len(p.fds) != 1 || p.fds[0].Fd != 5 || p.fds[0].Events != unix.POLLIN || len(p.inputs) != 2 {
		t.Errorf("%+v", p)
	}
	events = unix.POLLRDHUP
	if p := s.list(); len(p.fds) != 2 || p.fds[1].Events != unix.POLLRDHUP || p.from[1] != theInputs+1 {
		t.Errorf("%+v", p)
	}
}

// TestSignalArrived: where there is a front end, it decides what a signal means.
func TestSignalArrived(t *testing.T) {
	v := newServing(t)
	j := v.start("exec sleep 20", nil)
	tell := v.s.Tell
	arrived, batches := 0, 0
	v.s.Tell = func(e Event) {
		switch tell(e); e.Kind {
		case SignalArrived:
			if arrived++; e.Signal.Signal != unix.SIGUSR1 || e.Signal.From != os.Getpid() || j.State() != Running {
				t.Errorf("%+v, %v", e.Signal, j.State())
			}
			j.End(protocol.CauseKilled, nil)
		case BatchTold:
			batches++
		}
	}
	unix.Kill(os.Getpid(), unix.SIGUSR1)
	v.s.Run()
	if arrived != 1 || batches == 0 {
		t.Errorf("%d signals, %d batches", arrived, batches)
	}
}

// TestBatchTold: what is told of a round goes out before the next wait, and the statuses
// before their jobs are settled.
func TestBatchTold(t *testing.T) {
	v := newServing(t)
	v.start("exit 3", nil)
	var order []EventKind
	tell := v.s.Tell
	v.s.Tell = func(e Event) {
		if tell(e); len(order) == 0 || order[len(order)-1] != e.Kind {
			order = append(order, e.Kind)
		}
	}
	v.s.Run()
	if i := slices.Index(order, StatusChanged); i < 0 || !slices.Equal(order[i:], []EventKind{StatusChanged, BatchTold, JobEnded, BatchTold}) {
		t.Errorf("%v", order)
	}
}

// TestBusy: processes that cannot be ended are not waited for, but children of
// which nothing is known are.
func TestBusy(t *testing.T) {
	more := false
	s := &Supervisor{jobs: map[int]*Job{1: {state: Ended}}}
	if !s.busy() {
		t.Error("there are children")
	}
	s.jobs[2] = &Job{stuck: []int{5}}
	if s.busy() {
		t.Error("waits for what cannot be ended")
	}
	delete(s.jobs, 2)
	s.childless = true
	if s.busy() {
		t.Error("waits for nothing")
	}
	s.childless, s.More = false, func() bool { return more }
	if s.busy() {
		t.Error("a front end says when it is over")
	}
	if more = true; !s.busy() {
		t.Error("the front end has more")
	}
	more, s.Blocked = false, func() bool { return true }
	if !s.busy() {
		t.Error("not all is delivered")
	}
}
