package serve

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestLargeRecord: a record that is larger than a pipe arrives whole, and holds up no end.
func TestLargeRecord(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		argv := append([]string{"true"}, slices.Repeat([]string{strings.Repeat("x", 100<<10)}, 3)...)
		s.hello()
		record := s.spawn(nil, argv...).ended("exited")
		if got, _ := record["argv"].([]any); len(got) != len(argv) || got[3] != argv[3] {
			t.Errorf("%d arguments", len(got))
		}
		s.shutdown()
	})
}

// TestHeadlessLeftover: a leftover whose first thread has exited is listed, and has ended when its job has.
func TestHeadlessLeftover(t *testing.T) {
	adversary := filepath.Join(filepath.Dir(supervise), "adversary")
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		record := s.shell(nil, quote(adversary)+` headless -count=2 </dev/null >/dev/null; exit 7`).ended("exited")
		if left, _ := record["leftovers"].([]any); len(left) != 2 || record["error"] != nil {
			t.Errorf("leftovers %v, error %v", left, record["error"])
		}
		if left := descendants(s.pid()); len(left) > 1 { // the guardian, but in the fallback
			t.Errorf("below the server: %s", describe(left))
		}
		s.shutdown()
	})
}

// TestHangingLeftover: a leftover whose command line cannot be read holds up neither the end of its job nor the server, which
// keeps nothing of it.
func TestHangingLeftover(t *testing.T) {
	adversary := filepath.Join(filepath.Dir(supervise), "adversary")
	testbed.NeedHang(t, adversary)
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		jobs := 0
		for range 10 { // more than may hang at once
			record := s.shell(nil, quote(adversary)+` hang </dev/null >/dev/null; exit 7`).ended("exited")
			left, _ := record["leftovers"].([]any)
			for _, l := range left {
				if l := l.(object); l["comm"] == "lurker" && len(l["argv"].([]any)) == 0 {
					jobs++
				}
			}
		}
		if jobs != 10 {
			t.Errorf("%d victims listed", jobs)
		}
		record := s.shell(nil, `sleep 1000 & while [ "$(cat /proc/$!/comm)" = sh ]; do :; done`).ended("exited")
		if left, _ := record["leftovers"].([]any); len(left) != 1 || len(left[0].(object)["argv"].([]any)) != 2 {
			t.Errorf("leftovers %v", left)
		}
		for patience := time.Now().Add(patience); len(descendants(s.pid())) > 1 && time.Now().Before(patience); {
		}
		if left := descendants(s.pid()); len(left) > 1 { // the guardian, but in the fallback
			t.Errorf("below the server: %s", describe(left))
		}
		s.shutdown()
	})
}

// TestBytes: text that is no UTF-8 is in the record whole, as a leftover's name is, and in what else the server says.
func TestBytes(t *testing.T) {
	const odd, oddBase64 = "caf\ufffd", "Y2Fm6Q=="
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		s := b.serve(c, pipes)
		s.hello()
		script := `n=$(printf 'caf\351'); cp "$(command -v sleep)" "$n"; "./$n" 1000 & while [ "$(cat /proc/$!/comm)" = sh ]; do :; done`
		record := s.shell(object{"cwd": b.dir}, script).ended("exited")
		left, _ := record["leftovers"].([]any)
		if len(left) != 1 {
			t.Fatalf("leftovers %v", left)
		}
		l := left[0].(object)
		argv, _ := l["argv_base64"].([]any)
		if l["comm"] != odd || l["comm_base64"] != oddBase64 || len(argv) != 2 || argv[1] != "MTAwMA==" {
			t.Errorf("%v", l)
		}
		if record["oom"] != nil || record["name_base64"] != nil {
			t.Errorf("%v", record)
		}
		s.shutdown()
	})
}
