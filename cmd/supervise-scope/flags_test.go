package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	parent := []int{os.Getppid()}
	for line, want := range map[string]options{
		"":                         {pids: parent, timeout: defaultTimeout},
		"--pid 1 --pid=2":          {pids: []int{1, 2}, timeout: defaultTimeout},
		"--slice s":                {pids: parent, slice: "s", timeout: defaultTimeout},
		"--description=a=b":        {pids: parent, description: "a=b", timeout: defaultTimeout},
		"--controllers=":           {pids: parent, controllers: []string{}, timeout: defaultTimeout},
		"--controllers cpu,io":     {pids: parent, controllers: []string{"cpu", "io"}, timeout: defaultTimeout},
		"--timeout 250ms":          {pids: parent, timeout: 250 * time.Millisecond},
		"--timeout 1.5":            {pids: parent, timeout: 1500 * time.Millisecond},
		"--attach u --pid 3":       {pids: []int{3}, attach: "u", timeout: defaultTimeout},
		"--attach=u --subgroup=/s": {pids: parent, attach: "u", subgroup: "/s", timeout: defaultTimeout},
		"--probe":                  {pids: []int{os.Getpid()}, probe: true, timeout: defaultTimeout},
		"-h":                       {pids: parent, help: true, timeout: defaultTimeout},
	} {
		got, err := parse(strings.Fields(line))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"x":                    `"x" is no flag`,
		"-pid 1":               `no flag -pid; did you mean --pid?`,
		"--nonsense":           `no flag --nonsense`,
		"--pid":                "--pid needs a value",
		"--pid 0":              `--pid "0": want a process number`,
		"--pid -1":             `--pid "-1": want a process number`,
		"--pid 4294967297":     "want a process number",
		"--slice=":             `--slice "": must not be empty`,
		"--timeout 0":          `--timeout "0": want more than 0`,
		"--timeout -1s":        `--timeout "-1s": want a duration`,
		"--timeout NaN":        `--timeout "NaN": want a duration`,
		"--timeout Inf":        `--timeout "Inf": want a duration`,
		"--probe=yes":          "--probe takes no value",
		"--probe --attach u":   "exclude each other",
		"--subgroup s":         "goes with --attach",
		"--attach u --slice s": "takes an existing scope",
	} {
		if _, err := parse(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", line, err, want)
		}
	}
}

// The help names every flag, and is no wider than a terminal.
func TestHelp(t *testing.T) {
	for _, f := range flags() {
		if f.Name != "help" && !strings.Contains(helpText, "  --"+f.Name) {
			t.Errorf("--%s is missing", f.Name)
		}
	}
	for line := range strings.Lines(helpText) {
		if len(line) > 81 {
			t.Errorf("too wide: %s", line)
		}
	}
}
