package serve

import (
	"fmt"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/options"
)

// commandLine is what "supervise serve" was given. All that is about one job comes by the
// protocol, so there is little more than the place.
type commandLine struct {
	options.Place
	help bool
}

// flags are in the order of the help text; a test sees that each is explained there.
func flags() []cli.Flag[commandLine] {
	return append(options.Flags(func(c *commandLine) *options.Place { return &c.Place }), cli.Flag[commandLine]{
		Name: "help", Short: "-h", Switch: true, Set: func(c *commandLine, _ string) error { c.help = true; return nil },
	})
}

func flagTable() *cli.Flags[commandLine] {
	return &cli.Flags[commandLine]{Command: "serve", Hint: "'supervise help serve' lists them", List: flags}
}

// Flags lists the flags.
func Flags() []cli.About { return flagTable().About() }

// parse reads the arguments behind "serve". A command there is a mistake that is easily
// made, hence the hint.
func parse(args []string) (*commandLine, error) {
	c := &commandLine{Place: options.Default()}
	_, rest, err := flagTable().Parse(c, args)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("serve: what is %q? jobs come by the protocol; 'supervise run -- %s' runs one", rest[0], rest[0])
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return c, nil
}
