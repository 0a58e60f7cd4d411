package main

import (
	"errors"
	"fmt"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

// options is the command line: one of the three.
type options struct {
	limits  string // file
	metrics string // directory
	help    bool
}

func flags() []cli.Flag[options] {
	return []cli.Flag[options]{
		{Name: "limits", Set: func(o *options, v string) error { o.limits = v; return cli.NotEmpty(v) }},
		{Name: "metrics", Set: func(o *options, v string) error { o.metrics = v; return cli.NotEmpty(v) }},
		{Name: "help", Short: "-h", Switch: true, Set: func(o *options, _ string) error { o.help = true; return nil }},
	}
}

// parse reads the command line: --name value, or --name=value.
func parse(args []string) (*options, error) {
	o := &options{}
	table := cli.Flags[options]{Hint: program + " --help lists them", List: flags}
	_, rest, err := table.Parse(o, args)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("%q is no flag; %s", rest[0], table.Hint)
	case o.help:
	case o.limits == "" && o.metrics == "":
		return nil, errors.New("want --limits FILE or --metrics CGROUP; " + program + " --help says more")
	case o.limits != "" && o.metrics != "":
		return nil, errors.New("--limits and --metrics exclude each other")
	}
	return o, nil
}
