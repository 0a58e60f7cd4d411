// Package top is the command line of supervise-top, which supervise completes and its manual
// pages explain.
package top

import (
	"errors"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// A CommandLine is what the program was given.
type CommandLine struct {
	All, Help bool
	Every     time.Duration // between two readings, at least 100 ms
}

// Flags is the table of its flags.
func Flags() *cli.Flags[CommandLine] {
	return &cli.Flags[CommandLine]{Hint: "'supervise top --help' lists them", List: flags}
}

func flags() []cli.Flag[CommandLine] {
	return []cli.Flag[CommandLine]{
		{Name: "all", Switch: true, Set: func(c *CommandLine, _ string) error { c.All = true; return nil }},
		{Name: "every", Set: func(c *CommandLine, v string) (err error) {
			if c.Every, err = cli.Duration(v); err == nil && c.Every < 100*time.Millisecond {
				err = errors.New("want 100ms or more")
			}
			return err
		}},
		{Name: "help", Short: "-h", Switch: true, Set: func(c *CommandLine, _ string) error { c.Help = true; return nil }},
	}
}
