package main

import (
	"math"
	"testing"
)

// TestTexts: numbers for people.
func TestTexts(t *testing.T) {
	for want, got := range map[string]string{
		"0 s": duration(0), "<1 µs": duration(1e-9), "12 µs": duration(12e-6), "1.5 ms": duration(0.0015), "20 ms": duration(0.02), "1.00 s": duration(0.999),
		"2.50 s": duration(2.5), "94.0 s": duration(94), "2m0s": duration(119.99), "1h1m": duration(3700),
		"1.5M": size(1.5 * (1 << 20)), "–": size(unknownNumber), "<1%": percent(0.001), "100%": percent(1), "1.25": decimal(1.25), "130": decimal(130.4),
		"10,000": grouped(10000), "999": grouped(999), "1,000,000": grouped(1000000), "1 job": count(1, "job", "jobs"), "512M": sizeTick(512 << 20),
		"1m30s": tickTime(90, 600), "500 ms": tickTime(0.5, 0.9), "2h": tickTime(7200, 9000), "5 µs": tickTime(5e-6, 1e-5),
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

// TestTicks: axes have a few marks, whatever the numbers.
func TestTicks(t *testing.T) {
	for _, end := range []float64{1e-9, 1e-6, 0.003, 0.5, 1, 7, 59, 61, 1000, 86400, 1e7, longest} {
		for _, n := range []int{4, 10} {
			if got := len(timeTicks(end, n)); got < 2 || got > n+2 {
				t.Errorf("%d marks up to %g s", got, end)
			}
		}
	}
	for _, most := range []float64{0, unknownNumber, 1e-12, 0.3, 1, 4, 5.1, 1e18} {
		for name, of := range map[string]func(float64) (float64, []float64){"numbers": scale, "bytes": sizeScale} {
			top, list := of(most)
			if top < most || len(list) < 2 || len(list) > 8 {
				t.Errorf("%s up to %g: %g, %v", name, most, top, list)
			}
		}
	}
}

// TestDistribution: quantiles are values that there are, all values are in a bin, and what is not known is in none.
func TestDistribution(t *testing.T) {
	values := []float64{4, unknownNumber, 1, 3, 2, 0}
	i := -1
	jobs := make([]*job, len(values))
	d := distributionOf(jobs, number{of: func(*job) float64 { i++; return values[i] }})
	if d.missing != 1 || len(d.sorted) != 5 {
		t.Fatalf("%v, %d missing", d.sorted, d.missing)
	}
	for part, want := range map[float64]float64{0: 0, 0.5: 2, 0.9: 4, 1: 4} {
		if got := d.quantile(part); got != want {
			t.Errorf("quantile %g is %g", part, got)
		}
	}
	for _, sorted := range [][]float64{{0, 1, 2, 3, 4}, {0, 0, 1, 1000}, {5, 5}, {0}, {1e-300, 1e300}, {0.001, 1, 2, 1e6}} {
		d := distribution{sorted: sorted}
		bins, _ := d.bins(24)
		total := 0
		for _, b := range bins {
			total += b.count
			if math.IsNaN(b.from) || math.IsNaN(b.to) {
				t.Errorf("%v: a bin from %g to %g", sorted, b.from, b.to)
			}
		}
		if total != len(sorted) {
			t.Errorf("%v: %d values in bins", sorted, total)
		}
	}
}

// TestCompare: the same jobs are compared, others are there once, and a change is for the better or the worse.
func TestCompare(t *testing.T) {
	c := compare(readData(t, "before.jsonl"), readData(t, "after.jsonl"))
	if len(c.jobs) != 30 {
		t.Errorf("%d jobs", len(c.jobs))
	}
	for i := 1; i < len(c.jobs); i++ {
		if math.Abs(c.jobs[i].shift) > math.Abs(c.jobs[i-1].shift) {
			t.Errorf("job %d changed more than the one before", i)
		}
	}
	other := compare(readData(t, "before.jsonl"), readData(t, "odd.json"))
	for _, j := range other.jobs {
		if (j.before == nil) == (j.after == nil) {
			t.Errorf("%s is in both runs, or in none", j.label)
		}
	}
	for want, c := range map[string]change{
		"+50% worse": {before: 2, after: 3}, "−50% better": {before: 2, after: 1}, "same ": {before: 2, after: 2}, "+2% ": {before: 100, after: 102},
		"×20 worse": {before: 1, after: 20}, "– ": {before: unknownNumber, after: 1},
	} {
		c.text = decimal
		if v := c.cell(); v.Change+" "+v.Class != want {
			t.Errorf("%v: %q %q instead of %q", c, v.Change, v.Class, want)
		}
	}
	zero := change{number: number{text: decimal}}
	if v := zero.cell(); v.Change != "same" {
		t.Errorf("of nothing: %q", v.Change)
	}
}

// TestLoad: jobs at a time are as many as ran, and the time that they waited is what the records have.
func TestLoad(t *testing.T) {
	r := batchOf(readData(t, "odd.json"))
	l := loadOf(r, r.end, 100)
	var ran, waited, want float64
	for i := range l.running {
		ran += l.running[i] * r.end / 100
		waited += (l.wait[0][i] + l.wait[1][i] + l.wait[2][i]) * r.end / 100
	}
	for _, j := range r.jobs {
		if !j.holds {
			want += j.WallS
		}
	}
	if math.Abs(ran-want) > 1e-6 {
		t.Errorf("jobs ran for %g s instead of %g", ran, want)
	}
	if waited <= 0 || waited > ran {
		t.Errorf("they waited for %g s of %g", waited, ran)
	}
	if r.most() != 4 {
		t.Errorf("%d at once", r.most())
	}
}

// TestSum: a job in another is counted once.
func TestSum(t *testing.T) {
	jobs := readData(t, "odd.json")
	var all float64
	for _, j := range jobs {
		if cpu := fraction(j.CPU.TotalS); known(cpu) && j.label != "tests" { // which is in build
			all += cpu
		}
	}
	if got, missing := sum(jobs, numbers[1]); got != all || missing != 1 {
		t.Errorf("%g s of a processor instead of %g, %d not known", got, all, missing)
	}
}
