package integration

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestTimerSlack: the slack that the supervisor's own threads have for a while is no job's.
func TestTimerSlack(t *testing.T) {
	want := testbed.TimerSlack(t)
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, nil, "sh", "-c", testbed.ReadSlack))
		p.wait().wantCode(0)
		if got := p.stdout.String(); strings.TrimSpace(got) != want {
			t.Errorf("the job has a timer slack of %q, want %q", got, want)
		}
	})
}
