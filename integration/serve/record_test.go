package serve

import (
	"slices"
	"strings"
	"testing"
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
