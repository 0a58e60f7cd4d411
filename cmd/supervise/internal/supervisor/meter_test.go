package supervisor

import (
	"os"
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
