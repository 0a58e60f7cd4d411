package main

import (
	"cmp"
	"math"
	"slices"
)

// A comparison is two runs side by side.
type comparison struct {
	before, after *batch
	totals        []change
	jobs          []jobChange // the greatest change of time first
}

// A batch is all jobs of one build, say.
type batch struct {
	jobs []*job
	end  float64 // of the last, in seconds since the first start
}

// A change is a number in both runs.
type change struct {
	number
	before, after float64
}

// A jobChange is the same job in both runs, or the same several times: then its numbers are
// medians.
type jobChange struct {
	label              string
	nBefore, nAfter    int // 0: it is not in that run
	changes            []change
	before, after      *job // the first of each
	shift              float64
	outcomeB, outcomeA string
}

// batchOf is a run of some jobs. There is one at least.
func batchOf(jobs []*job) *batch {
	r := &batch{jobs: jobs}
	for _, j := range jobs {
		r.end = max(r.end, r.since(j)+j.WallS)
	}
	return r
}

// since is when a job started, in seconds since the first did.
func (r *batch) since(j *job) float64 { return j.Started.Sub(r.jobs[0].Started.Time).Seconds() }

// part is the change as a part of what was before; NaN: not known, or there was nothing.
func (c change) part() float64 {
	if c.before == 0 {
		return unknownNumber
	}
	return (c.after - c.before) / c.before
}

// compare finds the same jobs in two runs: those of the same name, or of the same command where
// there is no name.
func compare(before, after []*job) *comparison {
	c := &comparison{before: batchOf(before), after: batchOf(after)}
	c.totals = append(c.totals, change{number{name: "Time of all", text: duration, about: "from the first start to the last end"}, c.before.end, c.after.end})
	for _, n := range numbers {
		b, _ := sum(before, n)
		a, _ := sum(after, n)
		switch n.key {
		case "memory":
			n.name, b, a = "Highest peak memory", highest(before, n.of), highest(after, n.of)
		case "wall":
			n.name = "Time, sum of the jobs"
		default:
			n.name += ", sum"
		}
		c.totals = append(c.totals, change{n, b, a})
	}
	b, a := byLabel(before), byLabel(after)
	for _, label := range labels(before, after) {
		c.jobs = append(c.jobs, changeOf(label, b[label], a[label]))
	}
	slices.SortStableFunc(c.jobs, func(x, y jobChange) int { return cmp.Compare(math.Abs(y.shift), math.Abs(x.shift)) })
	return c
}

// labels are those of all jobs, each once, in the order of their start.
func labels(runs ...[]*job) (list []string) {
	seen := map[string]bool{}
	for _, jobs := range runs {
		for _, j := range jobs {
			if !seen[j.label] {
				seen[j.label] = true
				list = append(list, j.label)
			}
		}
	}
	return list
}

func byLabel(jobs []*job) map[string][]*job {
	m := map[string][]*job{}
	for _, j := range jobs {
		m[j.label] = append(m[j.label], j)
	}
	return m
}

// changeOf compares the jobs of one label.
func changeOf(label string, before, after []*job) jobChange {
	c := jobChange{label: label, nBefore: len(before), nAfter: len(after), outcomeB: notKnown, outcomeA: notKnown}
	if len(before) > 0 {
		c.before = before[0]
		c.outcomeB, _ = worst(before).outcome()
	}
	if len(after) > 0 {
		c.after = after[0]
		c.outcomeA, _ = worst(after).outcome()
	}
	for _, n := range numbers {
		c.changes = append(c.changes, change{n, median(before, n), median(after, n)})
	}
	switch wall := c.changes[0]; {
	case c.before == nil:
		c.shift = wall.after
	case c.after == nil:
		c.shift = -wall.before
	default:
		c.shift = wall.after - wall.before
	}
	return c
}

// worst is the job with the worst outcome; there is one.
func worst(jobs []*job) *job {
	return slices.MaxFunc(jobs, func(a, b *job) int {
		_, x := a.outcome()
		_, y := b.outcome()
		return cmp.Compare(x, y)
	})
}

func median(jobs []*job, n number) float64 {
	d := distributionOf(jobs, n)
	return d.quantile(0.5)
}

func highest(jobs []*job, of func(*job) float64) float64 {
	most := unknownNumber
	for _, j := range jobs {
		if f := of(j); known(f) && !(f <= most) {
			most = f
		}
	}
	return most
}
