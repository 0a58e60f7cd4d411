package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A timelineView is when the jobs of a run ran.
type timelineView struct {
	Title string
	Load  *figure
	Rows  figure
}

// timelineKeys are what the colours of a timeline mean.
var timelineKeys = []key{{"bar", "running"}, {"cpu", "waiting for CPU"}, {"memory", "for memory"}, {"io", "for I/O"}}

// timelineOf draws the timeline of a run with so many rows at most.
func timelineOf(big layout, title string, r *batch, e extent, most int) timelineView {
	v := timelineView{Title: title}
	if len(r.jobs) > 3 {
		note := "coloured: of which some process waited"
		if slices.ContainsFunc(r.jobs, func(j *job) bool { return j.holds }) {
			note += "; a job with jobs in it is not counted"
		}
		load := figureOf(big, "Jobs at a time", note, timelineKeys, func(l layout) *chart { return loadChart(l, r, e) })
		v.Load = &load
	}
	keys := append(slices.Clone(timelineKeys), key{"bad", "a bad end"})
	note := "the coloured part of a bar's height: part of the time that some process waited"
	if len(r.jobs) > most {
		note = fmt.Sprintf("the %d longest of %s jobs have a row; %s", most, grouped(len(r.jobs)), note)
	}
	v.Rows = figureOf(big, "Each job", note, keys, func(l layout) *chart { return timeline(l, r, e, most) })
	return v
}

// phaseStrip draws the names of phases above the charts of a job.
func phaseStrip(l layout, j *job, f frame) *chart {
	c := newChart(l, 20, margins{left: axisRoom, right: 10, bottom: 1, top: 1}, [2]float64{0, f.end}, [2]float64{0, 1})
	for i, p := range j.phases() {
		from := max(0, p.Started.Sub(j.Started.Time).Seconds())
		to := min(f.end, from+p.WallS)
		if from >= to {
			continue
		}
		x0, x1 := c.x(from), c.x(to)
		if i%2 == 1 {
			c.box(inkBar.faint(), x0, c.data.Min.Y, x1, c.data.Max.Y)
		} else {
			c.box(inkBar, x0, c.data.Min.Y, x1, c.data.Max.Y)
		}
		if p.Name == "" {
			continue
		}
		name := phaseName(p.Name)
		if room := x1 - x0 - 8; textWidth(name) <= room || room > 40 {
			c.say(inkText, atStart, x0+4, c.height/2, fit(name, room))
		}
	}
	c.about = "The phases of " + j.label
	return c
}

// factsOf are the numbers of a run.
func factsOf(r *batch) []fact {
	failed, ooms := 0, 0
	for _, j := range r.jobs {
		if _, verdict := j.outcome(); verdict == bad {
			failed++
		}
		if j.oomKilled() {
			ooms++
		}
	}
	of := func(n number) (string, string) {
		total, missing := sum(r.jobs, n)
		if missing > 0 && known(total) {
			return n.text(total), fmt.Sprintf("not known of %s", count(missing, "job", "jobs"))
		}
		return n.text(total), ""
	}
	cpu, cpuNote := of(numbers[1])
	if total, missing := sum(r.jobs, numbers[1]); missing == 0 && r.end > 0 {
		cpuNote = processors(total/r.end) + " on average"
	}
	moved, movedNote := of(numbers[3])
	bads := grouped(failed)
	oomNote := ""
	if ooms > 0 {
		oomNote = count(ooms, "job", "jobs") + " with an OOM kill"
	}
	peak, peakNote := highest(r.jobs, peakMemory), ""
	if known(peak) {
		peakNote = "of one job"
	}
	return []fact{
		{"Jobs", grouped(len(r.jobs)), fmt.Sprintf("at most %s at once", grouped(r.most()))},
		{"Went wrong", bads, oomNote},
		{"Time of all", duration(r.end), ""},
		{"CPU time", cpu, cpuNote},
		{"Highest peak memory", size(peak), peakNote},
		{"I/O", moved, movedNote},
	}
}

// distributions are the charts of numbers that more than a few jobs have.
func distributions(jobs []*job) (list []figure) {
	for _, n := range numbers {
		d := distributionOf(jobs, n)
		if len(d.sorted) < 4 || d.sorted[len(d.sorted)-1] <= 0 {
			continue
		}
		note := fmt.Sprintf("median %s, 90%% up to %s, 99%% up to %s, most %s", n.text(d.quantile(0.5)), n.text(d.quantile(0.9)), n.text(d.quantile(0.99)), n.text(d.sorted[len(d.sorted)-1]))
		if d.missing > 0 {
			note += fmt.Sprintf("; not known of %s", count(d.missing, "job", "jobs"))
		}
		list = append(list, figureOf(wide, n.name, note, nil, func(l layout) *chart { return histogram(l, &d) }))
	}
	return list
}

// A tableView is the table of all jobs. The page has the first rows, and the script all of them.
type tableView struct {
	Columns []columnView
	Rows    []rowView
	All     []rowView // for the script
	Note    string
}

// A columnView is the head of a column.
type columnView struct{ Name, About string }

// A rowView is a job in the table.
type rowView struct {
	Name    string     `json:"n"`
	Indent  int        `json:"i,omitempty"`
	Outcome string     `json:"o"`
	Bad     bool       `json:"b,omitempty"`
	Anchor  string     `json:"a,omitempty"`
	Values  []*float64 `json:"v"` // by which rows are sorted; null: not known
	Cells   []string   `json:"c"`
}

// mostTableRows is how many rows a browser lays out at once.
const mostTableRows = 200

func tableOf(r *batch) *tableView {
	t := &tableView{Columns: []columnView{{"Start", "since the first job's"}}}
	for _, n := range numbers {
		t.Columns = append(t.Columns, columnView{n.name, n.about})
	}
	for _, j := range r.jobs {
		outcome, verdict := j.outcome()
		row := rowView{Name: short(j.label, 120), Indent: min(j.depth, 6), Outcome: outcome, Bad: verdict == bad}
		row.add(r.since(j), duration)
		for _, n := range numbers {
			row.add(n.of(j), n.text)
		}
		t.All = append(t.All, row)
	}
	t.Rows = t.All[:min(len(t.All), mostTableRows)]
	if len(t.All) > len(t.Rows) {
		t.Note = fmt.Sprintf("The first %d of %s jobs.", len(t.Rows), grouped(len(t.All)))
	}
	return t
}

func (row *rowView) add(f float64, text func(float64) string) {
	row.Cells = append(row.Cells, text(f))
	if !known(f) || math.IsInf(f, 0) {
		row.Values = append(row.Values, nil)
		return
	}
	row.Values = append(row.Values, &f)
}

// link has the rows of some jobs lead to their sections.
func (t *tableView) link(jobs, chosen []*job) {
	for i, j := range jobs {
		if slices.Contains(chosen, j) {
			t.All[i].Anchor = sectionName(jobs, j)
		}
	}
}

// sectionName is the name of a job's section in the page.
func sectionName(jobs []*job, j *job) string { return fmt.Sprintf("job-%d", slices.Index(jobs, j)+1) }

// A comparisonView is two runs side by side.
type comparisonView struct {
	Totals, Jobs []changeView
	Columns      []columnView
	Note         string
}

// A changeView is a row: of one number, or of a job.
type changeView struct {
	Name, About   string
	Cells         []changeCell
	Before, After string // outcomes
}

// A changeCell is a number before and after.
type changeCell struct{ Before, After, Change, Class string }

// cell puts a change into words. Less of anything is better.
func (c change) cell() changeCell {
	v := changeCell{Before: c.text(c.before), After: c.text(c.after), Change: notKnown}
	part := c.part()
	switch {
	case !known(part):
		if c.before == 0 && c.after == 0 {
			v.Change = "same"
		}
	case math.Abs(part) < 0.005:
		v.Change = "same"
	case part > 9:
		v.Change, v.Class = fmt.Sprintf("×%.0f", part+1), "worse"
	default:
		v.Change, v.Class = strings.Replace(fmt.Sprintf("%+.0f%%", part*100), "-", "−", 1), "better"
		if part > 0 {
			v.Class = "worse"
		}
	}
	if math.Abs(part) < 0.05 {
		v.Class = "" // as any two runs differ
	}
	return v
}

// compare fills the page of two runs.
func (p *page) compare(after, before []*job) {
	c := compare(before, after)
	p.Title = fmt.Sprintf("%s before, %s after", count(len(before), "job", "jobs"), grouped(len(after)))
	p.Subtitle = "before: " + when(before) + "; after: " + when(after)
	v := &comparisonView{}
	for _, t := range c.totals {
		v.Totals = append(v.Totals, changeView{Name: t.name, About: t.about, Cells: []changeCell{t.cell()}})
	}
	for _, n := range numbers {
		v.Columns = append(v.Columns, columnView{n.name, n.about})
	}
	for _, j := range c.jobs[:min(len(c.jobs), mostTableRows)] {
		row := changeView{Name: short(j.label, 120), Before: j.outcomeB, After: j.outcomeA}
		if j.nBefore > 1 || j.nAfter > 1 {
			row.About = fmt.Sprintf("%d times, then %d: medians", j.nBefore, j.nAfter)
		}
		for _, n := range j.changes {
			row.Cells = append(row.Cells, n.cell())
		}
		v.Jobs = append(v.Jobs, row)
	}
	if n := len(c.jobs); n > len(v.Jobs) {
		v.Note = fmt.Sprintf("The %d jobs of %s whose time changed most.", len(v.Jobs), grouped(n))
	}
	p.Comparison = v
	if len(before) == 1 && len(after) == 1 {
		f := frameOf(before[0], after[0])
		p.Details = []jobView{viewOf(half, before[0], f, before), viewOf(half, after[0], f, after)}
		p.Details[0].Name, p.Details[1].Name = "Before", "After"
		if before[0].label != after[0].label {
			p.Details[0].Name, p.Details[1].Name = "Before: "+short(before[0].label, 100), "After: "+short(after[0].label, 100)
		} else {
			p.Title = short(after[0].label, 100) + ", before and after"
		}
		v.Totals = nil // they are those of the job
		return
	}
	e := extentOf(c.before, c.after)
	p.Timelines = []timelineView{timelineOf(half, "Before", c.before, e, mostRows/2), timelineOf(half, "After", c.after, e, mostRows/2)}
}
