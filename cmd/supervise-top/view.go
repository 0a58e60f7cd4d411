package main

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/text"
	"github.com/seed-c1490a04/supervise/protocol"
)

// Without colour these are bold, reversed or plain.
var (
	heading = lipgloss.NewStyle().Reverse(true)
	chosen  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan)
	alarm   = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)
	faint   = lipgloss.NewStyle().Faint(true)
)

// fit cuts a line to a width, or fills it up with spaces.
func fit(s string, width int) string {
	s = ansi.Truncate(s, width, "…")
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

// right is fit with the text at the right end.
func right(s string, width int) string {
	s = ansi.Truncate(s, width, "…")
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(s))) + s
}

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen, v.WindowTitle = true, "supervise top"
	return v
}

// screen is the text of the screen.
func (m *model) screen() string {
	if m.width == 0 || !m.read {
		return "reading the jobs ..."
	}
	lines := []string{m.title()}
	if m.details && m.rows[m.selected] != nil {
		lines = append(lines, detailLines(m.rows[m.selected], m.width)...)
	} else {
		lines = append(lines, m.table()...)
	}
	lines = lines[:min(len(lines), max(m.height-1, 0))]
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, m.bottom())
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	return strings.Join(lines, "\n")
}

// title sums up all jobs, outer ones alone: they count what is in them.
func (m *model) title() string {
	var cpu, memory float64
	known := false
	for _, r := range m.rows {
		if r.Outer == nil || m.rows[*r.Outer] == nil {
			cpu += r.cpu.last()
			if r.Memory != nil {
				known = true
				memory += float64(*r.Memory)
			}
		}
	}
	s := fmt.Sprintf("%d jobs  %.2f cpus", len(m.rows), cpu)
	if known {
		all := uint64(memory)
		s += "  " + text.Bytes(&all)
	}
	if m.filter != "" {
		s += fmt.Sprintf("  with %q", m.filter)
	}
	s += "  by " + columns[m.sort].name
	return fit(s, max(m.width-9, 0)) + " " + m.at.Format(time.TimeOnly)
}

// A field is a column of the table.
type field struct {
	name  string
	width int
	from  int // how wide the screen must be for it
	left  bool
	show  func(r *row, width int) string
}

// fields are from left to right; the first, the job, has what the others leave.
var fields = []field{
	{"", 1, 0, true, func(r *row, _ int) string { return state(r) }},
	{"AGE", 6, 60, false, func(r *row, _ int) string { return text.Age(&r.ListedJob) }},
	{"PROCS", 5, 60, false, func(r *row, _ int) string { return count(r.Processes) }},
	{"CPUS", 5, 0, false, func(r *row, _ int) string { return fmt.Sprintf("%.2f", r.cpu.last()) }},
	{"", 10, 72, false, func(r *row, width int) string { return r.cpu.spark(width, 1) }},
	{"MEMORY", 7, 0, false, func(r *row, _ int) string { return text.Bytes(r.Memory) }},
	{"", 10, 120, false, func(r *row, width int) string { return r.mem.spark(width, 0) }},
	{"LIMIT", 8, 76, true, func(r *row, width int) string { return limit(r, width) }},
	{"IO/S", 7, 64, false, func(r *row, _ int) string { return rate(r) }},
	{"", 10, 132, false, func(r *row, width int) string { return r.io.spark(width, 0) }},
	{"WAITS", 8, 90, true, func(r *row, _ int) string { return waits(r) }},
	{"OWNER", 16, 110, true, func(r *row, _ int) string { return owner(r) }},
}

// table is the heading and the rows that are on the screen.
func (m *model) table() []string {
	rest := m.width
	var shown []field
	for _, f := range fields {
		if m.width >= f.from {
			shown = append(shown, f)
			rest -= f.width + 1
		}
	}
	rest = max(rest, 8)
	line := func(first string, cell func(f field) string) string {
		s := fit(first, rest)
		for _, f := range shown {
			align := right
			if f.left {
				align = fit
			}
			s += " " + align(cell(f), f.width)
		}
		return s
	}
	lines := []string{heading.Render(fit(line("JOB", func(f field) string { return f.name }), m.width))}
	rows := m.shown()
	m.top = min(m.top, max(0, len(rows)-m.lines()))
	for _, r := range rows[m.top:min(m.top+m.lines(), len(rows))] {
		s := line(strings.Repeat("  ", r.depth)+cli.Printable(r.ID), func(f field) string { return f.show(r, f.width) })
		if r.ID == m.selected {
			s = chosen.Render("▶" + strings.TrimPrefix(ansi.Truncate(" "+s, m.width, ""), " "))
		} else {
			s = " " + s
		}
		lines = append(lines, s)
	}
	if len(rows) == 0 {
		lines = append(lines, "", "  no jobs; supervise run -- make -j8   starts one")
	}
	return lines
}

// bottom is a question, what became of the last action, or the keys.
func (m *model) bottom() string {
	switch {
	case m.prompt != nil:
		return chosen.Render(m.prompt.text) + m.prompt.answer + "█"
	case m.message != "":
		return m.message
	case m.err != nil:
		return alarm.Render(cli.Printable(cli.OneLine(m.err)))
	case m.details:
		return faint.Render("esc back  k kill  f freeze  t thaw  l limit  q quit")
	}
	return faint.Render("↑↓ enter details  s sort  / filter  k kill  f freeze  t thaw  l limit  q quit")
}

// state is a letter for what is not running.
func state(r *row) string {
	switch r.State {
	case protocol.ListedRunning:
		return " "
	case protocol.ListedFrozen:
		return "F"
	case protocol.ListedOrphaned:
		return "!"
	}
	return "-"
}

func count(n *int) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func limit(r *row, width int) string {
	if r.Memory == nil || r.MemoryMax == nil || *r.MemoryMax == 0 {
		return ""
	}
	return bar(width, float64(*r.Memory)/float64(*r.MemoryMax))
}

func rate(r *row) string {
	if len(r.io.values) == 0 {
		return "-"
	}
	n := uint64(r.io.last())
	return text.Bytes(&n)
}

// waits is what something in the job waited for, in percent of the time.
func waits(r *row) string {
	most, what := 0.0, ""
	for i, name := range []string{"cpu", "mem", "io"} {
		if r.waits[i] > most {
			most, what = r.waits[i], name
		}
	}
	if most < 0.005 {
		return ""
	}
	return fmt.Sprintf("%s %.0f%%", what, most*100)
}

func owner(r *row) string {
	if r.Owner == nil {
		return ""
	}
	return fmt.Sprintf("%d %s", r.Owner.PID, cli.Printable(r.Owner.Comm))
}
