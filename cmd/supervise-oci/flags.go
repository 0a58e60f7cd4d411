package main

import (
	"errors"
	"fmt"
	"strings"
)

// options is the command line: one of the three.
type options struct {
	limits  string // file
	metrics string // directory
	help    bool
}

// parse reads the command line: --name value, or --name=value.
func parse(args []string) (*options, error) {
	if len(args) == 0 {
		return nil, errors.New("want --limits FILE or --metrics CGROUP; supervise-oci --help says more")
	}
	name, value, hasValue := strings.Cut(args[0], "=")
	rest := args[1:]
	if name == "-h" || name == "--help" {
		return &options{help: true}, nil
	}
	if name != "--limits" && name != "--metrics" {
		return nil, fmt.Errorf("no flag %q; supervise-oci --help lists them", args[0])
	}
	if !hasValue && len(rest) > 0 {
		value, rest = rest[0], rest[1:]
	}
	switch {
	case value == "":
		return nil, fmt.Errorf("%s needs a value", name)
	case len(rest) > 0:
		return nil, fmt.Errorf("%q is one too many", rest[0])
	case name == "--limits":
		return &options{limits: value}, nil
	}
	return &options{metrics: value}, nil
}
