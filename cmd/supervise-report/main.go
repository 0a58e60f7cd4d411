// Supervise-report is "supervise report": it makes a page, a chart or a text of what jobs were and
// used, from records, samples and marks.
//
//	files ──> values ──> records and samples ──> jobs ──> page of charts, one chart, or text
//
// All is read before anything is written, and an output file appears as a whole. Nothing here
// touches a job.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/replace"
	"github.com/seed-c1490a04/supervise/cmd/internal/report"
)

const helpText = `usage: supervise report FILE... -o report.html         (man supervise-report)
       supervise report FILE... --text | --svg
       supervise report --before FILE FILE... -o report.html

Makes one page of jobs, with nothing from the network. Of one: its timeline of
CPU, memory, I/O, waiting and processes, with phases, limits and the peak. Of
many: a table that sorts, a timeline of all and what they waited for, and how
numbers are distributed.

FILE is what "supervise run" wrote with --record or --samples, a directory of
such files (*.json, *.jsonl), or - for standard input. It may have any number of
records and samples, one after another or in arrays, and what "supervise serve"
said. Samples belong to the record of the job that started when they say, within
a second; among several to the one whose file has the same name but its suffix.

  --output FILE, -o  write there, as a whole or not at all (standard output)
  --before FILE      compare with the records in this file or directory (and
                     more of them): the same name or command is the same job
  --text             a table and charts for a terminal
  --svg              the main chart alone, as SVG

exit status: 0; 125 if a file cannot be read or is no record, 2 if misused.

  supervise run --record job.json --samples job.jsonl -- make -j8
  supervise report job.json job.jsonl -o report.html
  supervise report --before old/ new/ -o report.html
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) (status int) {
	p := &cli.Program{Name: "supervise-report", Version: cli.Version, Help: func(string) int { fmt.Print(helpText); return 0 }}
	c, files, err := report.Parse(args)
	switch {
	case err != nil:
		return p.Usage(err)
	case c.Help:
		return p.Help("")
	case len(files) == 0:
		return p.Usage(errors.New("no file; 'supervise report job.json -o report.html' reports a job, 'supervise report --help' tells more"))
	case c.Format == report.Page && toStdout(c) && isTerminal(1):
		return p.Usage(errors.New("a page is for a browser; -o FILE writes it to a file, --text is for the terminal"))
	}
	text, notes, err := makeReport(c, files, os.Stdin)
	if err == nil && toStdout(c) {
		_, err = io.WriteString(os.Stdout, text)
	} else if err == nil {
		err = replace.File(c.Output, []byte(text), 0)
	}
	if err != nil {
		p.Complain(err)
		return cli.ExitFailure
	}
	for _, note := range notes {
		p.Complain(errors.New(note))
	}
	return 0
}

// toStdout says whether the report goes to standard output.
func toStdout(c *report.CommandLine) bool { return c.Output == "" || c.Output == "-" }

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// makeReport reads all, and returns the report, and what was left out of it.
func makeReport(c *report.CommandLine, files []string, stdin io.Reader) (text string, notes []string, err error) {
	in, err := readAll(files, stdin)
	if err != nil {
		return "", nil, err
	}
	notes = in.notes
	var before []*job
	if c.Before != nil {
		old, err := readAll(c.Before, stdin)
		if err != nil {
			return "", nil, fmt.Errorf("before: %w", err)
		}
		before, notes = old.jobs, append(old.notes, notes...)
	}
	switch c.Format {
	case report.SVG:
		return picture(in.jobs, before), notes, nil
	case report.Text:
		return forTerminal(in.jobs, before, columns()), notes, nil
	}
	text, err = newPage(in.jobs, before, notes).html()
	return text, notes, err
}

// columns is the width of the terminal, or what is used without one.
func columns() int {
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil && size.Col >= 20 {
		return int(size.Col)
	}
	return 100
}
