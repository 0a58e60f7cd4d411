package faults

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A table counts outcomes, by scenario and call.
type table struct {
	rows  map[string]map[string]int
	total map[string]int
	stale int
	runs  map[string]int // by scenario
	took  map[string]time.Duration
}

func newTable() *table {
	return &table{rows: map[string]map[string]int{}, total: map[string]int{}, runs: map[string]int{}, took: map[string]time.Duration{}}
}

// add notes an outcome. What Go's runtime does with a call of its own that fails is listed, and another test's.
func (tb *table) add(t *testing.T, a attempt, o outcome) {
	name, of := callName(a.Fault.Call.Nr), "supervise"
	if a.Runtime {
		of = "runtime"
	}
	row := of + " " + name
	if tb.rows[row] == nil {
		tb.rows[row] = map[string]int{}
	}
	tb.rows[row][o.Verdict]++
	tb.total[of+" "+o.Verdict]++
	tb.runs[a.Scenario]++
	tb.took[a.Scenario] += o.Took
	if o.Stale {
		tb.stale++
	}
	text := fmt.Sprintf("%v: %s %s\n\tstatus %d, in %s\n\t%s", a, o.Verdict, o.Wrong, o.Status, ours(o.Site), cut(strings.TrimSpace(o.Stderr), 600))
	if o.Verdict == faulty && !a.Runtime && *live {
		fmt.Fprintln(os.Stderr, text)
	}
	switch {
	case o.Verdict == faulty && !a.Runtime:
		t.Error(text)
	case testing.Verbose():
		t.Log(text)
	}
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

func (tb *table) print(t *testing.T) {
	verdicts := []string{asItShould, refused, notRun, missed, faulty}
	lines := []string{fmt.Sprintf("%-32s %7s", "call of", strings.Join(verdicts, "  "))}
	for _, row := range slices.Sorted(maps.Keys(tb.rows)) {
		line := fmt.Sprintf("%-32s", row)
		for _, v := range verdicts {
			line += fmt.Sprintf(" %6d", tb.rows[row][v])
		}
		lines = append(lines, line)
	}
	for _, of := range slices.Sorted(maps.Keys(tb.total)) {
		lines = append(lines, fmt.Sprintf("%-32s %6d", of, tb.total[of]))
	}
	for _, name := range slices.Sorted(maps.Keys(tb.runs)) {
		lines = append(lines, fmt.Sprintf("%-32s %6d runs of %v", name, tb.runs[name], (tb.took[name]/time.Duration(tb.runs[name])).Round(time.Millisecond)))
	}
	lines = append(lines, fmt.Sprintf("%-32s %6d", "left a cgroup for the next", tb.stale))
	t.Log("\n" + strings.Join(lines, "\n"))
}
