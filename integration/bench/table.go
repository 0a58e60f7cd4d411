package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the result.
type row struct {
	Measure    string   `json:"measure"`
	Program    string   `json:"program"`
	Median     float64  `json:"median"`
	Unit       string   `json:"unit"`
	Rounds     int      `json:"rounds"`
	Ratio      *float64 `json:"ratio,omitempty"`      // to the measure's reference
	Against    string   `json:"against,omitempty"`    // the reference
	Difference *float64 `json:"difference,omitempty"` // the median of those to the reference, round by round
	Target     *target  `json:"target,omitempty"`
	Note       string   `json:"note,omitempty"`
}

// target is what the project promises: the ratio, or where OfMedian is set the median, is at most Max.
type target struct {
	Max      float64 `json:"max"`
	OfMedian bool    `json:"of_median,omitempty"`
	Met      bool    `json:"met"`
}

// add completes a row and keeps it.
func (b *bench) add(r row) {
	if t := r.Target; t != nil {
		switch {
		case t.OfMedian:
			t.Met = r.Median <= t.Max
		case r.Ratio != nil:
			t.Met = *r.Ratio <= t.Max
		default: // nothing to compare with: no verdict
			r.Target = nil
		}
	}
	b.rows = append(b.rows, r)
}

// atMost is a target for the ratio; zero means that nothing was promised.
func atMost(ratio float64) *target {
	if ratio == 0 {
		return nil
	}
	return &target{Max: ratio}
}

func medianAtMost(value float64) *target { return &target{Max: value, OfMedian: true} }

func (b *bench) report() error {
	if b.json == "-" {
		return b.writeJSON(os.Stdout)
	}
	if err := b.writeTable(os.Stdout); err != nil || b.json == "" {
		return err
	}
	f, err := os.Create(b.json)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.writeJSON(f)
}

func (b *bench) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"kernel": kernelRelease(), "cpus": runtime.NumCPU(), "rows": b.rows})
}

func (b *bench) writeTable(out io.Writer) error {
	fmt.Fprintf(out, "Linux %s, %d CPUs; medians\n", kernelRelease(), runtime.NumCPU())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range b.rows {
		if r.Measure != last {
			w.Flush() // columns are aligned within a measure
			fmt.Fprintf(out, "\n%s\n", r.Measure)
			last = r.Measure
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", r.Program, r.value(), r.ratio(), r.promise(), r.Note)
	}
	return w.Flush()
}

func (r row) value() string {
	digits := 3
	if r.Median == float64(int(r.Median)) {
		digits = 0
	} else if r.Median >= 100 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, r.Median, r.Unit)
}

func (r row) ratio() string {
	if r.Ratio == nil {
		return ""
	}
	text := fmt.Sprintf("%.2f x %s", *r.Ratio, r.Against)
	if r.Difference != nil {
		text += fmt.Sprintf("\t%+.2f %s", *r.Difference, r.Unit)
	}
	return text
}

func (r row) promise() string {
	t := r.Target
	if t == nil {
		return ""
	}
	unit := ""
	if t.OfMedian {
		unit = " " + r.Unit
	}
	verdict := "met"
	if !t.Met {
		verdict = "MISSED"
	}
	return fmt.Sprintf("target %g%s: %s", t.Max, unit, verdict)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

func kernelRelease() string {
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(data))
}
