package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/text"
)

// A number is what tables, distributions and comparisons have of each job.
type number struct {
	key, name string
	about     string // one sentence
	of        func(j *job) float64
	text      func(f float64) string
	inclusive bool // a job's has those of the jobs in it
}

// numbers are all of them, in the order of the columns.
var numbers = []number{
	{"wall", "Time", "from the start to the end of the last process", func(j *job) float64 { return j.WallS }, duration, false},
	{"cpu", "CPU time", "processor time of all processes", func(j *job) float64 { return fraction(j.CPU.TotalS) }, duration, true},
	{"memory", "Peak memory", "with page cache, as the kernel counts it", peakMemory, size, true},
	{"io", "I/O", "bytes read from and written to devices", transferred, size, true},
	{"waited", "Waited", "the longest of the times in which a process waited for CPU, memory or I/O", waited, duration, false},
}

// peakMemory is the kernel's, or of the samples.
func peakMemory(j *job) float64 {
	if m := whole(j.Memory.PeakBytes); known(m) {
		return m
	}
	if j.peak != nil {
		return j.peak.current
	}
	return unknownNumber
}

func transferred(j *job) float64 { return whole(j.IO.ReadBytes) + whole(j.IO.WriteBytes) }

// waited is how long something waited for the resource of which there was least.
func waited(j *job) float64 {
	most := unknownNumber
	for _, w := range stalls(j.Pressure) {
		if known(w) && !(w <= most) {
			most = w
		}
	}
	return most
}

// waitShares are the parts of a job's time in which some process waited for each resource, and
// for the quota of processor time.
func waitShares(j *job) [3]float64 {
	shares := stalls(j.Pressure)
	for i := range shares {
		if j.WallS <= 0 {
			shares[i] = unknownNumber
		}
		shares[i] = min(1, shares[i]/j.WallS)
	}
	return shares
}

// notKnown is what people read for null.
const notKnown = "–"

// duration is a time of so many seconds with two or three digits that count.
func duration(s float64) string {
	switch a := math.Abs(s); {
	case !known(s):
		return notKnown
	case a == 0:
		return "0 s"
	case a < 0.000001:
		return "<1 µs"
	case a < 0.000995:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case a < 0.00995:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case a < 0.995:
		return fmt.Sprintf("%.0f ms", s*1e3)
	case a < 9.95:
		return fmt.Sprintf("%.2f s", s)
	case a < 119.95:
		return fmt.Sprintf("%.1f s", s)
	}
	d := seconds(math.Abs(s)).Round(seconds(1))
	if s < 0 {
		return "-" + text.Span(d)
	}
	return text.Span(d)
}

// size is a number of bytes.
func size(f float64) string {
	if !known(f) {
		return notKnown
	}
	if f < 0 {
		return "-" + size(-f)
	}
	n := uint64(f)
	return text.Bytes(&n)
}

// percent is a part of a whole.
func percent(f float64) string {
	switch {
	case !known(f):
		return notKnown
	case f > 0 && f < 0.005:
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", f*100)
}

// decimal is a number such as 1.25 or 130.
func decimal(f float64) string {
	switch {
	case !known(f):
		return notKnown
	case f != 0 && math.Abs(f) < 10:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
	}
	return fmt.Sprintf("%.0f", f)
}

// count is a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped is a number with its thousands apart: 10,000.
func grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// sum adds what is known, and says how many are not. Nothing is counted twice: where a job has jobs in
// it, it is either that job alone, or those in it.
func sum(jobs []*job, n number) (total float64, missing int) {
	added := 0
	for _, j := range jobs {
		if n.inclusive && j.parent != nil || !n.inclusive && j.holds {
			continue
		}
		if f := n.of(j); known(f) {
			total += f
			added++
		} else {
			missing++
		}
	}
	if added == 0 {
		total = unknownNumber
	}
	return total, missing
}

// A distribution is the values of a number in all jobs.
type distribution struct {
	number
	sorted  []float64
	missing int // jobs of which it is not known
}

func distributionOf(jobs []*job, n number) distribution {
	d := distribution{number: n}
	for _, j := range jobs {
		if f := n.of(j); known(f) {
			d.sorted = append(d.sorted, f)
		} else {
			d.missing++
		}
	}
	slices.Sort(d.sorted)
	return d
}

// quantile is the least value that a part of the jobs does not exceed.
func (d *distribution) quantile(part float64) float64 {
	if len(d.sorted) == 0 {
		return unknownNumber
	}
	return d.sorted[min(len(d.sorted)-1, max(0, int(math.Ceil(part*float64(len(d.sorted))))-1))]
}

// A bin is how many values are in a range.
type bin struct {
	from, to float64
	count    int
}

// bins cuts the range into n. They are as many times larger than the one before, instead of as
// much, where the values differ by more than a hundred times: then the first has what is 0, too.
func (d *distribution) bins(n int) (list []bin, logarithmic bool) {
	if len(d.sorted) == 0 {
		return nil, false
	}
	low, high := d.sorted[0], d.sorted[len(d.sorted)-1]
	positive := high
	if i := slices.IndexFunc(d.sorted, func(f float64) bool { return f > 0 }); i >= 0 {
		positive = d.sorted[i]
	}
	logarithmic = positive > 0 && high > 100*positive
	scale, back := func(f float64) float64 { return f }, func(f float64) float64 { return f }
	if logarithmic {
		low = max(positive, high/1e9)
		scale, back = math.Log, math.Exp
	}
	if high <= low {
		return []bin{{low, high, len(d.sorted)}}, false
	}
	from, width := scale(low), (scale(high)-scale(low))/float64(n)
	for i := range n {
		list = append(list, bin{from: back(from + float64(i)*width), to: back(from + float64(i+1)*width)})
	}
	list[0].from, list[n-1].to = low, high // back is not exact
	for _, f := range d.sorted {
		list[min(n-1, max(0, int((scale(max(f, low))-from)/width)))].count++
	}
	return list, logarithmic
}
