package integration

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestSignalThreads: a signal for all processes reaches the main thread of each, as it would if it were sent to that process alone.
func TestSignalThreads(t *testing.T) {
	testbed.Program(t, "python3")
	forEachContainment(t, func(t *testing.T, c containment) {
		for range 3 {
			b := newBox(t)
			p := b.start(b.called("a", c, "python3", "-c", testbed.Threads))
			p.expect("ready")
			b.command("signal", "--all", "USR1", b.job("a").ID).wantCode(0)
			p.expect("got 10")
			p.wait().wantCode(7)
		}
	})
}

// TestTimeoutThreads: so it is with the signal that comes before the end.
func TestTimeoutThreads(t *testing.T) {
	testbed.Program(t, "python3")
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.run(c, []string{"--timeout=1s", "--grace=1h"}, "python3", "-c", testbed.Threads))
		p.expect("got 15")
		p.wait().wantCode(124)
	})
}
