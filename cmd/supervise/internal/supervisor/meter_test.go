package supervisor

import (
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
	if r.Cause != protocol.CauseCPUTimeout || *r.UserUS < 300_000 {
		t.Errorf("%s after %d us", r.Cause, *r.UserUS)
	}
	if m.asked > 200 {
		t.Errorf("%d looks", m.asked)
	}
}

func TestParseCPUList(t *testing.T) {
	for list, want := range map[string]int{"0\n": 1, "0-3\n": 4, "0-1,4,6-7": 5, "": 0, "x": 0, "3-1": 0, "0-": 0, "-1": 0, "0-99999999": 0} {
		if got := parseCPUList(list); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
	}
}
