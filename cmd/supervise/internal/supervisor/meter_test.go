package supervisor

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// metered pretends that its processes use a processor each second of each.
type metered struct {
	*group
	since time.Time
	asked int
}

func (m *metered) CPU() (user, system uint64, err error) {
	m.asked++
	return uint64(time.Since(m.since).Microseconds()), 0, nil
}

// TestCPUTime: the job ends when it has used its time, which takes few looks.
func TestCPUTime(t *testing.T) {
	s, g := newTest(t)
	m := &metered{group: g, since: time.Now()}
	spec := shell(g, "exec sleep 100")
	spec.Containment, spec.CPUTime = m, 300*time.Millisecond
	r := run(t, s, spec)
	if took := r.Ended.Sub(m.since); r.Cause != protocol.CauseCPUTimeout || took < 300*time.Millisecond {
		t.Errorf("%s after %v", r.Cause, took)
	}
	if m.asked > 200 {
		t.Errorf("%d looks", m.asked)
	}
}

// unused pretends that its processes have not begun yet.
type unused struct{ *group }

func (unused) CPU() (user, system uint64, err error) { return 0, 0, nil }

// TestNoCPUTime: a time that is less than can be used is over at the start.
func TestNoCPUTime(t *testing.T) {
	s, g := newTest(t)
	spec := shell(g, "exec sleep 100")
	spec.Containment, spec.CPUTime = unused{g}, 1
	if r := run(t, s, spec); r.Cause != protocol.CauseCPUTimeout {
		t.Errorf("%s", r.Cause)
	}
}

// sampled ends its job when it has been looked at so often.
type sampled struct {
	*group
	at   []time.Time
	most int
	held *os.File
}

func (s *sampled) Sample(at time.Time) {
	if s.at = append(s.at, at); len(s.at) == s.most {
		s.held.Close()
	}
}

// held is a job that lasts until the file is closed.
func held(t *testing.T, g *group) (Spec, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	spec := shell(g, "read x; exit 0")
	spec.Attr.Files[0] = r.Fd()
	return spec, w
}

// TestSamples: they keep the beat, of which some may be left out.
func TestSamples(t *testing.T) {
	s, g := newTest(t)
	spec, w := held(t, g)
	c := &sampled{group: g, most: 5, held: w}
	const every = 20 * time.Millisecond
	spec.Containment, spec.Every = c, every
	run(t, s, spec)
	if len(c.at) < c.most {
		t.Fatalf("%d samples", len(c.at))
	}
	for i, at := range c.at[1:] {
		beat := at.Sub(c.at[0]) / every // late is what can be, early not
		if before := c.at[i].Sub(c.at[0]) / every; beat <= before {
			t.Errorf("samples %d and %d at beats %d and %d", i, i+1, before, beat)
		}
	}
}

// An unmetered containment has lost its counters.
type unmetered struct{ *group }

func (unmetered) CPU() (user, system uint64, err error) { return 0, 0, errTest }

// TestUnmetered: a job whose time cannot be metered may not go on.
func TestUnmetered(t *testing.T) {
	s, g := newTest(t)
	spec := shell(g, "exec sleep 20")
	spec.Containment, spec.CPUTime = unmetered{g}, time.Hour
	if r := run(t, s, spec); r.Cause != protocol.CauseKilled || !strings.Contains(failure(r), errTest.Error()) {
		t.Errorf("%s, %q", r.Cause, failure(r))
	}
}

// fixed says that so much time was used.
type fixed struct {
	*group
	user, system uint64 // microseconds
}

func (f fixed) CPU() (user, system uint64, err error) { return f.user, f.system, nil }

// TestMeterAgain: the next look is when the job may have used up its time with all
// processors for itself, or half a percent later; it counts what the kernel did for it.
func TestMeterAgain(t *testing.T) {
	tests := []struct {
		user, system uint64
		state        State
		left         time.Duration // 0: none
	}{
		{0, 0, Running, 100 * time.Second},
		{30e6, 20e6, Waiting, 50 * time.Second},
		{0, 99999e3, Running, 500 * time.Millisecond},
		{0, 0, Stopping, 0},
	}
	for _, tt := range tests {
		j := &Job{s: &Supervisor{}, place: -1, state: tt.state, meter: time.Now()}
		j.Spec = Spec{Containment: fixed{&group{t: t}, tt.user, tt.system}, CPUTime: 100 * time.Second}
		before := time.Now()
		j.meterCPU()
		if tt.left == 0 {
			if !j.meter.IsZero() || j.place >= 0 {
				t.Errorf("%+v: metered", tt)
			}
			continue
		}
		if d, want := j.meter.Sub(before), tt.left/time.Duration(processors()); d < want || d > want+time.Second || j.place < 0 {
			t.Errorf("%+v: again in %v, want %v", tt, d, want)
		}
	}
	j := &Job{s: &Supervisor{}, place: -1, Spec: Spec{Containment: fixed{user: 1e9}}}
	if j.meterCPU(); j.state != Running || !j.meter.IsZero() {
		t.Error("metered without a limit")
	}
}

// TestBeat: beats that were missed are left out, the others keep.
func TestBeat(t *testing.T) {
	c := &sampled{group: &group{t: t}}
	j := &Job{s: &Supervisor{}, place: -1, Spec: Spec{Containment: c, Every: time.Hour}}
	last := time.Now().Add(-150 * time.Minute)
	j.tick = last
	if j.sample(); !j.tick.Equal(last.Add(3*time.Hour)) || len(c.at) != 1 || j.place < 0 {
		t.Errorf("the next beat is %v after the last; %d samples", j.tick.Sub(last), len(c.at))
	}
	j.state = Ended
	if j.sample(); !j.tick.IsZero() || len(c.at) != 1 || j.place >= 0 {
		t.Errorf("sampled after the end: %v", j.tick)
	}
}
