package steer

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/jobs"
	"github.com/seed-c1490a04/supervise/cmd/internal/text"
	"github.com/seed-c1490a04/supervise/protocol"
)

// printJSON writes one object and a newline to stdout.
func printJSON(v any) error {
	b, err := protocol.Marshal(v)
	if err == nil {
		_, err = os.Stdout.Write(append(b, '\n'))
	}
	return err
}

// printable is fmt.Sprintf: names are others' text, and must not reach a terminal raw.
func printable(format string, args ...any) string {
	return cli.Printable(fmt.Sprintf(format, args...))
}

// table aligns rows of cells, which it makes printable.
func table(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cli.Printable(cell))
		}
		fmt.Fprint(w, "\n")
	}
	w.Flush()
	return b.String()
}

// listText is the table of jobs; those in another are indented.
func listText(list []*jobs.Job) string {
	rows := [][]string{{"ID", "NAME", "STATE", "AGE", "PROCS", "CPU", "MEMORY", "LIMIT", "OWNER", "HELD BY"}}
	for _, j := range list {
		owner := "-"
		if j.Owner != nil {
			owner = fmt.Sprintf("%d %s", j.Owner.PID, j.Owner.Comm)
		}
		procs := "-"
		if j.Processes != nil {
			procs = fmt.Sprint(*j.Processes)
		}
		rows = append(rows, []string{
			strings.Repeat("  ", j.Depth) + j.ID, j.Name, string(j.State), text.Age(&j.ListedJob), procs, text.Seconds(j.CPUS),
			text.Bytes(j.Memory), text.Bytes(j.MemoryMax), owner, string(j.Containment),
		})
	}
	return table(rows)
}

// procTable lists the processes of a job.
func procTable(s *protocol.Stat) string {
	if len(s.Procs) == 0 {
		return ""
	}
	rows := [][]string{{"PID", "PARENT", "STATE", "AGE", "CPU", "RSS", "COMMAND"}}
	for _, p := range s.Procs {
		rss := uint64(max(p.RSSBytes, 0))
		rows = append(rows, []string{
			fmt.Sprint(p.PID), fmt.Sprint(p.Parent), p.State, text.Span(time.Duration(p.AgeS * 1e9)), text.Seconds(&p.CPUS), text.Bytes(&rss), p.Comm,
		})
	}
	return table(rows)
}
