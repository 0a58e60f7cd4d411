// Package report is the command line of supervise-report, which supervise completes and its
// manual pages explain.
package report

import (
	"errors"
	"slices"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// A Format is what is made of the records.
type Format int

const (
	Page Format = iota // HTML
	SVG                // the main chart alone
	Text               // for a terminal
)

// A CommandLine is what the program was given.
type CommandLine struct {
	Output string   // a file; "" or "-": standard output
	Before []string // files and directories of the run to compare with
	Format Format
	Help   bool
}

// Flags is the table of its flags.
func Flags() *cli.Flags[CommandLine] {
	return &cli.Flags[CommandLine]{Hint: "'supervise report --help' lists them", List: flags}
}

func flags() []cli.Flag[CommandLine] {
	format := func(f Format) func(*CommandLine, string) error {
		return func(c *CommandLine, _ string) error { c.Format = f; return nil }
	}
	return []cli.Flag[CommandLine]{
		{Name: "output", Short: "-o", Value: "FILE", Set: func(c *CommandLine, v string) error { c.Output = v; return cli.NotEmpty(v) }},
		{Name: "before", Value: "FILE", Set: func(c *CommandLine, v string) error {
			c.Before = append(c.Before, v)
			return cli.NotEmpty(v)
		}},
		{Name: "text", Switch: true, Set: format(Text)},
		{Name: "svg", Switch: true, Set: format(SVG)},
		{Name: "help", Short: "-h", Switch: true, Set: func(c *CommandLine, _ string) error { c.Help = true; return nil }},
	}
}

// Parse reads flags and files in any order: "supervise report FILES... -o report.html". Behind
// "--" there are files only. Standard input can be read once.
func Parse(args []string) (c *CommandLine, files []string, err error) {
	c = &CommandLine{}
	if files, err = c.parse(args); err != nil {
		return nil, nil, err
	}
	isStdin := func(name string) bool { return name == "-" }
	if slices.ContainsFunc(c.Before, isStdin) && slices.ContainsFunc(files, isStdin) {
		return nil, nil, errors.New("standard input (-) is either a run or the one before; put one of them into a file")
	}
	return c, files, nil
}

func (c *CommandLine) parse(args []string) (files []string, err error) {
	for len(args) > 0 {
		_, rest, err := Flags().Parse(c, args)
		if err != nil {
			return nil, err
		}
		if len(rest) < len(args) && args[len(args)-len(rest)-1] == "--" {
			return append(files, rest...), nil
		}
		if len(rest) > 0 {
			files, rest = append(files, rest[0]), rest[1:]
		}
		args = rest
	}
	return files, nil
}
