package serve

import (
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestSignalThreads: a signal is received by the main thread, whatever has to be held for it: the whole job, or a job that its owner
// has frozen.
func TestSignalThreads(t *testing.T) {
	testbed.Program(t, "python3")
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		frozen := []bool{false}
		if c == inCgroup {
			frozen = append(frozen, true)
		}
		for _, freeze := range frozen {
			for _, method := range []string{"signal", "all", "kill"} {
				j := s.spawn(object{"argv": []string{"python3", "-c", testbed.Threads}, "stdio": captured["stdio"]})
				j.told("output")
				if freeze {
					j.do("freeze", nil)
				}
				switch method {
				case "signal":
					j.do("signal", object{"signal": "USR1"})
				case "all":
					j.do("signal", object{"signal": "USR1", "all": true})
				case "kill":
					j.do("kill", object{"signal": "USR1", "grace": 1e6})
				}
				if freeze && method != "kill" {
					j.do("thaw", nil)
				}
				if m := j.told("exited"); m["code"] != float64(7) {
					t.Errorf("%s, frozen %v: %s", method, freeze, text(m))
				}
				j.told("ended")
			}
		}
		s.end()
	})
}
