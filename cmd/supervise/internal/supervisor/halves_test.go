package supervisor

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestHalves: what systemd sends to the main process of a service and to its cgroup is one signal, in any order; two are two.
func TestHalves(t *testing.T) {
	type step struct {
		sig     unix.Signal
		from    int
		relayed bool
		after   time.Duration
		want    bool
	}
	const term, usr = unix.SIGTERM, unix.SIGUSR1
	for name, steps := range map[string][]step{
		"direct first":      {{term, 1, false, 0, false}, {term, 1, true, 0, true}},
		"relayed first":     {{term, 1, true, 0, false}, {term, 1, false, 0, true}},
		"between others":    {{term, 1, false, 0, false}, {usr, 1, false, 0, false}, {term, 1, true, 0, true}, {usr, 1, true, 0, true}},
		"two signals":       {{term, 1, false, 0, false}, {term, 1, false, 0, false}},
		"a third":           {{term, 1, false, 0, false}, {term, 1, true, 0, true}, {term, 1, true, 0, false}},
		"of another sender": {{term, 1, false, 0, false}, {term, 2, true, 0, false}},
		"of the kernel":     {{term, 0, false, 0, false}, {term, 0, true, 0, false}},
		"later":             {{term, 1, false, 0, false}, {term, 1, true, time.Second, false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var h halves
			for i, s := range steps {
				time.Sleep(s.after)
				if got := h.second(signal(s.sig, s.from), s.relayed); got != s.want {
					t.Errorf("%s, step %d: %t", name, i, got)
				}
			}
		})
	}
}
