package supervisor

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// serving starts jobs that are told of when they end.
type serving struct {
	t     *testing.T
	s     *Supervisor
	ended map[string]*protocol.Record
	spare map[string]bool // those that were unkilled
	told  []int           // pids whose end was told, in order
	live  int
}

func newServing(t *testing.T) *serving {
	s := &Supervisor{Signals: caught, Sweep: func() error { return nil }}
	t.Cleanup(func() {
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
			t.Errorf("a child is left: %v", err)
		}
	})
	v := &serving{t: t, s: s, ended: map[string]*protocol.Record{}, spare: map[string]bool{}}
	s.Serving = Serving{
		More: func() bool { return v.live > 0 },
	}
	s.Tell = v.hear
	return v
}

func (v *serving) hear(e Event) {
	switch e.Kind {
	case StatusChanged:
		if e.Status.Code().Ended() {
			v.told = append(v.told, e.Status.PID())
		}
	case JobEnded:
		script := e.Job.Tag.(string)
		v.ended[script], v.spare[script] = e.Record, e.Job.EndedUnkilled()
		v.live--
	}
}

func (v *serving) start(script string, set func(*Spec)) *Job {
	v.t.Helper()
	spec := shell(&group{t: v.t}, script)
	spec.Tag = script
	if set != nil {
		set(&spec)
	}
	v.live++
	j, err := v.s.Start(spec)
	if err != nil {
		v.t.Fatal(err)
	}
	return j
}

// TestServing: jobs that end each in its way, and are forgotten.
func TestServing(t *testing.T) {
	v := newServing(t)
	v.start("exit 3", nil)
	v.start("sleep 100", func(s *Spec) { s.Timeout, s.Grace = 20*time.Millisecond, time.Minute })
	v.start("sleep 101", func(s *Spec) { s.Timeout = time.Hour }).End(protocol.CauseKilled, nil)
	v.start("sleep 102 & exit 4", nil)
	v.start("kill -KILL $$", nil)
	if results := v.s.Run(); len(results) != 0 {
		t.Errorf("results %v of jobs that were told of", results)
	}
	want := map[string]protocol.Cause{
		"exit 3": protocol.CauseExited, "sleep 100": protocol.CauseTimeout, "sleep 101": protocol.CauseKilled, "sleep 102 & exit 4": protocol.CauseExited,
		"kill -KILL $$": protocol.CauseSignaled,
	}
	for script, cause := range want {
		r, ok := v.ended[script]
		if !ok || r.Cause != cause || !slices.Contains(v.told, *r.PID) {
			t.Errorf("%s: %+v (told %t), want %s", script, r, ok, cause)
		}
		if v.spare[script] != (script == "exit 3") {
			t.Errorf("%s: unkilled %t", script, v.spare[script])
		}
	}
	if len(v.s.jobs)+len(v.s.alarms)+len(v.s.watched)+v.s.alive != 0 {
		t.Errorf("not forgotten: %v %v %v %d", v.s.jobs, v.s.alarms, v.s.watched, v.s.alive)
	}
}

// TestBlocked: while nobody takes what is told, statuses stay with the kernel, and
// deadlines pass as always.
func TestBlocked(t *testing.T) {
	v := newServing(t)
	blocked := true
	v.s.Blocked = func() bool { return blocked }
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := v.start("exit 0", nil)
	v.start("exec sleep 100 >&3", func(s *Spec) { // the end of it closes the pipe
		s.Timeout = 20 * time.Millisecond
		s.Attr.Files = append(s.Attr.Files, w.Fd())
	})
	w.Close()
	v.s.Inputs = []Input{{FD: int(r.Fd()), Read: func() bool {
		if len(v.told) > 0 || first.HasExited() {
			t.Error("told while nobody took it")
		}
		blocked = false
		return false
	}}}
	v.s.Run()
	if len(v.told) != 2 || len(v.ended) != 2 {
		t.Errorf("told of %v, ended %v", v.told, v.ended)
	}
}

// TestAccount: many jobs that end at once are accounted for together, each once, and
// before they are closed.
func TestAccount(t *testing.T) {
	v := newServing(t)
	var pids []int
	for i := range 2 * accountTogether {
		pids = append(pids, v.start(fmt.Sprintf("sleep 103 & exec sleep %d", 200+i), nil).PID()) // whose ends touch all jobs
	}
	accounts := map[*Job]int{}
	v.s.Account = func(jobs []*Job) {
		for _, j := range jobs {
			if accounts[j]++; j.Containment.(*group).closed > 0 {
				t.Errorf("job %d was closed", j.PID())
			}
		}
	}
	v.s.End(protocol.CauseKilled, nil)
	for _, pid := range pids {
		waitid(unix.P_PID, pid, unix.WEXITED|unix.WNOWAIT, nil)
	}
	v.s.Run()
	once := 0
	for j, n := range accounts {
		if once++; n != 1 || j.Containment.(*group).closed != 1 {
			t.Errorf("job %d: accounted for %d times, closed %d", j.PID(), n, j.Containment.(*group).closed)
		}
	}
	if once < accountTogether || len(v.ended) != 2*accountTogether {
		t.Errorf("accounted for %d, ended %d of %d", once, len(v.ended), 2*accountTogether)
	}
}

// TestAttribute: an orphan counts for its job.
func TestAttribute(t *testing.T) {
	v := newServing(t)
	var j *Job
	v.s.Attribute = func(int) *Job { return j }
	j = v.start("(sleep 0.01; exit 5) & exit 0", func(s *Spec) { s.Leftovers = protocol.LeftoversWait })
	v.start("exit 1", nil)
	v.s.Run()
	if got := v.ended["(sleep 0.01; exit 5) & exit 0"].Reaped; got < 2 {
		t.Errorf("reaped %d of the job, want its orphan as well", got)
	}
	if got := v.ended["exit 1"].Reaped; got != 1 {
		t.Errorf("reaped %d of the other, want 1", got)
	}
}

func TestRelease(t *testing.T) {
	v := newServing(t)
	j := v.start("exec sleep 100", func(s *Spec) { s.Timeout = time.Hour })
	v.start("exit 0", nil)
	j.Release()
	v.live--
	v.s.Run()
	if _, told := v.ended["exec sleep 100"]; told || len(v.s.alarms) != 0 {
		t.Error("a job that was let go is told of, or waited for")
	}
	unix.Kill(j.PID(), unix.SIGKILL)
	unix.Wait4(j.PID(), nil, 0, nil)
}
