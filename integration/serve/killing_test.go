package serve

import (
	"slices"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestKillWait: the answer comes when nothing is left, and names what was killed; also to a second request, and to one with a
// grace that is long enough.
func TestKillWait(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(captured, "trap '' USR1; setsid sleep 1001 & (setsid sh -c 'sleep 1002 & exec sleep 1003' &) & echo ready; exec sleep 1004")
		j.told("output")
		testbed.Eventually(t, patience, "four sleeping", func() error { return wantSleepers(s.pid(), 4) })
		first := s.send("kill", object{"job": j.number, "wait": true, "grace": 1000, "signal": "USR1"})
		second := s.send("kill", object{"job": j.number, "wait": true})
		j.told("ended")
		for _, id := range []float64{first, second} {
			r := s.answer(id)["result"].(object)
			if r["record"].(object)["cause"] != "killed" || r["job"] != j.number {
				t.Errorf("%s", text(r))
			}
		}
		if alive := descendantsNamed(s.pid(), "sleep"); len(alive) > 0 {
			t.Errorf("alive after the answer: %v", alive)
		}
		tree := s.shell(captured, "setsid sleep 1001 & echo ready; exec sleep 1002")
		tree.told("output")
		testbed.Eventually(t, patience, "two sleeping", func() error { return wantSleepers(s.pid(), 2) })
		r := tree.do("kill", object{"wait": true})
		var names []string
		for _, k := range r["killed"].([]any) {
			names = append(names, k.(object)["comm"].(string))
		}
		if !slices.Equal(names, []string{"sleep", "sleep"}) || r["killed_total"] != 2.0 {
			t.Errorf("killed: %s", text(r))
		}
		tree.ended("killed")
		asked := s.shell(captured, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")
		asked.told("output")
		r = asked.do("kill", object{"wait": true, "grace": 1000})
		if exit := r["record"].(object)["exit"].(object); exit["code"] != 3.0 || len(r["killed"].([]any)) != 0 || r["killed_total"] != 0.0 {
			t.Errorf("one that obeys: %s", text(r))
		}
		asked.ended("killed")
		s.end()
	})
}

// TestKillWaitCrowd: of many processes some are named, and all are counted.
func TestKillWaitCrowd(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(captured, "i=0; while [ $i -lt 150 ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait")
		j.told("output")
		testbed.Eventually(t, patience, "all sleeping", func() error { return wantSleepers(s.pid(), 150) })
		r := j.do("kill", object{"wait": true})
		if len(r["killed"].([]any)) != 100 || r["killed_total"] != 151.0 {
			t.Errorf("%d named of %v", len(r["killed"].([]any)), r["killed_total"])
		}
		j.ended("killed")
		s.end()
	})
}
