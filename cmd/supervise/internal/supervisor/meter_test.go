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
	if took := r.Ended.Sub(r.Started); r.Cause != protocol.CauseCPUTimeout || took < 300*time.Millisecond {
		t.Errorf("%s after %v", r.Cause, took)
	}
	if m.asked > 200 {
		t.Errorf("%d looks", m.asked)
	}
}

type sampled struct {
	*group
	at []time.Time
}

func (s *sampled) Sample(at time.Time) { s.at = append(s.at, at) }

// TestSamples: they keep the beat.
func TestSamples(t *testing.T) {
	s, g := newTest(t)
	c := &sampled{group: g}
	spec := shell(g, "sleep 0.3")
	const every = 20 * time.Millisecond
	spec.Containment, spec.Every = c, every
	run(t, s, spec)
	if len(c.at) < 2 || len(c.at) > 16 {
		t.Fatalf("%d samples", len(c.at))
	}
	for i, at := range c.at[1:] {
		if off := at.Sub(c.at[0]) % every; off > every/2 { // late is what can be, early not
			t.Logf("sample %d is %v off the beat", i+1, off)
		}
		if !at.After(c.at[i]) {
			t.Errorf("samples %d and %d at %v", i, i+1, at)
		}
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
	var got []byte
	s.Inputs = []Input{{FD: int(r.Fd()), Read: func() bool {
		var b [2]byte
		n, _ := r.Read(b[:])
		got = append(got, b[:n]...)
		return n > 0
	}}}
	run(t, s, shell(g, "sleep 0.1"))
	if string(got) != "abc" || len(s.Inputs) != 0 {
		t.Errorf("read %q, %d inputs left", got, len(s.Inputs))
	}
}

func TestParseCPUList(t *testing.T) {
	for list, want := range map[string]int{"0\n": 1, "0-3\n": 4, "0-1,4,6-7": 5, "": 0, "x": 0, "3-1": 0, "0-": 0, "-1": 0, "0-99999999": 0} {
		if got := parseCPUList(list); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
	}
}
