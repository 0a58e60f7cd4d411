// Supervise-oci speaks the formats of container runtimes for supervise, in which
// their libraries would be most of the program. See "supervise-oci --help".
//
// It lives for milliseconds, so what the runtime does at its start shows.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/containerd/log"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed-c1490a04/supervise/cgroup/oci"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

const program = "supervise-oci"

// self is what complains.
var self = cli.Program{Name: program}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case err != nil:
		self.Complain(err)
		os.Exit(cli.ExitUsage)
	case o.help:
		fmt.Print(helpText)
		return
	}
	if err := run(o, os.Stdin, os.Stdout); err != nil {
		self.Complain(err)
		os.Exit(cli.ExitFailed)
	}
}

func run(o *options, stdin io.Reader, stdout io.Writer) error {
	line, err := answer(o, stdin)
	if err != nil {
		return err
	}
	_, err = stdout.Write(append(line, '\n'))
	return err
}

func answer(o *options, stdin io.Reader) ([]byte, error) {
	if o.metrics != "" {
		return metrics(o.metrics)
	}
	if o.limits == "-" {
		return limits(stdin)
	}
	f, err := os.Open(o.limits)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, err := limits(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", o.limits, err)
	}
	return line, err
}

// A limit is one of the settings that --limits prints.
type limit struct {
	Name       string `json:"name"`
	Controller string `json:"controller"`
	File       string `json:"file"`
	Value      string `json:"value"`
}

func limits(document io.Reader) ([]byte, error) {
	r, err := oci.Decode(document)
	if err != nil {
		return nil, err
	}
	all, err := oci.Limits(r)
	if err != nil {
		return nil, err
	}
	list := []limit{} // not null
	for _, l := range all {
		list = append(list, limit{l.Name(), l.Controller, l.File, l.Value})
	}
	return json.Marshal(list)
}

// metrics prints zeros as well, and null for what the cgroup does not have. What
// protojson writes has blanks at random, so that no program compares it.
//
// containerd logs to stderr what it could not read, such as the files of a cgroup
// that was just removed; that one line which we complain with is enough.
func metrics(directory string) ([]byte, error) {
	log.L.Logger.SetOutput(io.Discard)
	m, err := oci.Metrics(directory)
	if err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing the metrics: %w", err)
	}
	var line bytes.Buffer
	err = json.Compact(&line, text)
	return line.Bytes(), err
}
