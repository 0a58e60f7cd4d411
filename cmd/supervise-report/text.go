package main

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// mostLines is how many jobs a text lists.
const mostLines = 50

// forTerminal is the report as text, in so many columns.
func forTerminal(jobs, before []*job, width int) string {
	t := &textReport{width: max(60, width)}
	switch {
	case before != nil:
		t.comparison(compare(before, jobs))
	case len(jobs) == 1:
		t.job(jobs[0])
	default:
		t.jobs(jobs)
	}
	return t.b.String()
}

// A textReport is a text that grows.
type textReport struct {
	b     strings.Builder
	width int
}

// say adds a line, cut at the edge.
func (t *textReport) say(format string, args ...any) {
	line := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	t.b.WriteString(ansi.Truncate(line, t.width, "…") + "\n")
}

// wrap adds a paragraph.
func (t *textReport) wrap(text string) { t.b.WriteString(ansi.Wrap(text, t.width, "") + "\n") }

// cell is a text in so many columns: at their left end, or where columns are negative at their right.
func cell(text string, columns int) string {
	n := max(columns, -columns)
	text = ansi.Truncate(text, n, "…")
	pad := strings.Repeat(" ", max(0, n-ansi.StringWidth(text)))
	if columns < 0 {
		return pad + text
	}
	return text + pad
}

// facts adds numbers with their names.
func (t *textReport) facts(list []fact) {
	for _, f := range list {
		value := f.Value
		if f.Note != "" {
			value += " (" + f.Note + ")"
		}
		t.say("  %s %s", cell(f.Name, 20), value)
	}
}

// job writes one job.
func (t *textReport) job(j *job) {
	t.say("%s", j.label)
	t.say("%s", when([]*job{j}))
	t.say("")
	t.facts(jobFacts(j))
	if notes := j.notes(); len(notes) > 0 {
		t.say("")
		for _, n := range notes {
			t.wrap(n)
		}
	}
	if peak := peakSentence(j, nil); peak != "" {
		t.say("")
		t.wrap(peak)
	}
	t.charts(j)
	if len(j.Phases) > 0 {
		t.phases(j)
	}
}

// charts draws a line for each number over the time.
func (t *textReport) charts(j *job) {
	f := frameOf(j)
	columns := t.width - 32
	marks := t.phaseMarks(j, f, columns)
	first := true
	draw := func(name, most string, top float64, values []float64) {
		if values == nil {
			return
		}
		if first {
			t.say("")
			if marks != "" {
				t.say("  %s %s", cell("", 12), marks)
			}
			first = false
		}
		t.say("  %s %s %s", cell(name, 12), spark(values, top), most)
	}
	spans := j.spans()
	draw("CPU", "most "+decimal(f.cpu), f.cpu, overSpans(spans, f.end, columns, func(s span) float64 { return s.cpu }))
	draw("memory", "most "+size(f.memory), f.memory, overPoints(j.points, f.end, columns, func(p point) float64 { return p.current }))
	draw("read", "most "+size(f.io)+"/s", f.io, overSpans(spans, f.end, columns, func(s span) float64 { return s.read }))
	draw("written", "", f.io, overSpans(spans, f.end, columns, func(s span) float64 { return s.write }))
	for i, name := range resources {
		draw("wait "+name, "of 100%", 1, overSpans(spans, f.end, columns, func(s span) float64 { return s.wait[i] }))
	}
	draw("processes", "most "+decimal(f.pids), f.pids, overPoints(j.points, f.end, columns, func(p point) float64 { return p.pids }))
	if first {
		t.say("")
		t.wrap(sampling(j, nil))
		return
	}
	t.say("  %s 0%s%s", cell("", 12), strings.Repeat(" ", max(1, columns-1-ansi.StringWidth(duration(f.end)))), duration(f.end))
}

// phaseMarks are the names of phases where they begin, as far as there is room.
func (t *textReport) phaseMarks(j *job, f frame, columns int) string {
	var line string
	for i, p := range j.Phases {
		at := int(p.Started.Sub(j.Started.Time).Seconds() / f.end * float64(columns))
		if i == 0 || p.Name == "" || at < ansi.StringWidth(line) || at >= columns {
			continue
		}
		line += strings.Repeat(" ", at-ansi.StringWidth(line)) + "▏" + phaseName(p.Name) + " "
	}
	return ansi.Truncate(line, columns, "…")
}

// phases writes the table of phases.
func (t *textReport) phases(j *job) {
	t.say("")
	name := max(12, t.width-60)
	t.say("%s %s %s %s %s %s", cell("PHASE", name), cell("TIME", -10), cell("CPU TIME", -10), cell("PROCESSORS", -10), cell("MEMORY", -10), cell("I/O", -10))
	for _, p := range j.phases() {
		cpu := fraction(p.CPU.TotalS)
		t.say("%s %s %s %s %s %s", cell(phaseName(p.Name), name), cell(duration(p.WallS), -10), cell(duration(cpu), -10),
			cell(decimal(cpu/p.WallS), -10), cell(size(whole(p.MaxMemory)), -10), cell(size(whole(p.IO.ReadBytes)+whole(p.IO.WriteBytes)), -10))
	}
	if n := len(j.Phases); n > mostPhases {
		t.say("These are the first %d of %s phases.", mostPhases, grouped(n))
	}
}

// jobs writes a table of jobs with a bar for each.
func (t *textReport) jobs(jobs []*job) {
	r := batchOf(jobs)
	end := max(r.end, 1e-6)
	t.say("%s, %s", count(len(jobs), "job", "jobs"), when(jobs))
	t.say("")
	t.facts(factsOf(r))
	t.say("")
	columns := t.width - 32
	parts := loadOf(r, end, columns)
	t.say("  %s %s most %d", cell("at a time", 12), spark(parts.running, float64(r.most())), r.most())
	for k, name := range resources {
		t.say("  %s %s", cell("wait "+name, 12), spark(parts.wait[k], float64(r.most())))
	}
	t.say("  %s 0%s%s", cell("", 12), strings.Repeat(" ", max(1, columns-1-ansi.StringWidth(duration(end)))), duration(end))
	t.say("")
	rows := shown(jobs, mostLines)
	bar, when := min(40, t.width/4), "  WHEN"
	if t.width < 80 {
		bar, when = 0, "" // there is no room
	}
	name := t.width - bar - 44
	t.say("%s %s %s %s %s %s", cell("JOB", name), cell("OUTCOME", 12), cell("TIME", -8), cell("CPU TIME", -9), cell("MEMORY", -8), when)
	for _, j := range rows {
		outcome, _ := j.outcome()
		t.say("%s %s %s %s %s   %s", cell(strings.Repeat(" ", min(j.depth, 6))+j.label, name), cell(outcome, 12), cell(duration(j.WallS), -8),
			cell(duration(fraction(j.CPU.TotalS)), -9), cell(size(peakMemory(j)), -8), stretch(r.since(j)/end, (r.since(j)+j.WallS)/end, bar))
	}
	if len(rows) < len(jobs) {
		t.say("")
		t.wrap(fmt.Sprintf("These are the %d longest of %s jobs; a page (-o report.html) has them all.", len(rows), grouped(len(jobs))))
	}
}

// comparison writes two runs side by side.
func (t *textReport) comparison(c *comparison) {
	t.say("before: %s, %s", count(len(c.before.jobs), "job", "jobs"), when(c.before.jobs))
	t.say("after:  %s, %s", count(len(c.after.jobs), "job", "jobs"), when(c.after.jobs))
	t.say("")
	row := func(name string, of change) {
		v := of.cell()
		t.say("%s %s %s %s", cell(name, max(16, t.width-33)), cell(v.Before, -10), cell(v.After, -10), cell(v.Change, -10))
	}
	t.say("%s %s %s %s", cell("ALL JOBS", max(16, t.width-33)), cell("BEFORE", -10), cell("AFTER", -10), cell("CHANGE", -10))
	for _, total := range c.totals {
		row(total.name, total)
	}
	t.say("")
	t.say("%s %s %s %s", cell("TIME OF EACH", max(16, t.width-33)), cell("BEFORE", -10), cell("AFTER", -10), cell("CHANGE", -10))
	for _, j := range c.jobs[:min(mostLines, len(c.jobs))] {
		row(j.label, j.changes[0])
	}
	if n := len(c.jobs); n > mostLines {
		t.say("")
		t.wrap(fmt.Sprintf("These are the %d of %s jobs whose time changed most; a page (-o report.html) has more.", mostLines, grouped(n)))
	}
}
