package main

import (
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/text"
)

// detailLines are all that is known of one job.
func detailLines(r *row, width int) (lines []string) {
	line := func(key, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-11s %s", key, cli.Printable(fmt.Sprintf(format, args...))))
	}
	lines = append(lines, heading.Render(fit(cli.Printable(r.ID), width)))
	line("name", "%s", r.Name)
	line("state", "%s for %s, user %d", r.State, text.Age(&r.ListedJob), r.UID)
	if r.Cgroup != nil {
		line("cgroup", "%s", *r.Cgroup)
	} else {
		line("held", "by descent")
	}
	if r.Supervisor != nil {
		line("supervisor", "%d, started by %s", *r.Supervisor, owner(r))
	}
	graph := max(width-24, 10)
	line("cpus", "%-10s %s", fmt.Sprintf("%.2f", r.cpu.last()), r.cpu.spark(graph, 1))
	if r.Memory != nil {
		line("memory", "%-10s %s", text.Bytes(r.Memory), r.mem.spark(graph, 0))
		if r.MemoryMax != nil {
			line("limit", "%-10s %s", text.Bytes(r.MemoryMax), limit(r, graph))
		}
	}
	if len(r.io.values) > 0 {
		line("io a second", "%-10s %s", rate(r), r.io.spark(graph, 0))
	}
	line("waited for", "cpu %.0f%%, memory %.0f%%, io %.0f%% of the time", r.waits[0]*100, r.waits[1]*100, r.waits[2]*100)
	lines = append(lines, "", fmt.Sprintf("%7s %7s %s %6s %9s %8s  %s", "PID", "PARENT", "S", "AGE", "CPU", "RSS", "COMMAND"))
	for _, p := range r.procs {
		rss := uint64(max(p.RSSBytes, 0))
		lines = append(lines, fmt.Sprintf("%7d %7d %s %6s %9s %8s  %s", p.PID, p.Parent, p.State,
			text.Span(time.Duration(p.AgeS*1e9)), text.Seconds(&p.CPUS), text.Bytes(&rss), cli.Printable(p.Comm)))
	}
	return lines
}
