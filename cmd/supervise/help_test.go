package main

import (
	"slices"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	golden(t, "help.txt", helpText)
	golden(t, "help-run.txt", helpRun)
	golden(t, "help-serve.txt", helpServe)
	golden(t, "help-doctor.txt", helpDoctor)
}

// TestHelpNamesFlags: every flag is explained, in the order of the table.
func TestHelpNamesFlags(t *testing.T) {
	text := helpRun
	for _, f := range runFlags {
		if slices.Contains([]string{"help", "fallback-reason", "events", "program"}, f.name) {
			continue // known; and between one supervise and another
		}
		_, rest, found := strings.Cut(text, "\n  --"+f.name+" ")
		if !found {
			t.Errorf("--%s is missing, or not in its place", f.name)
			continue
		}
		text = rest
		if hasValue := rest[0] != ' '; hasValue == f.isSwitch {
			t.Errorf("--%s: with a value in the help: %t", f.name, hasValue)
		}
	}
}

func TestHelpNamesServeFlags(t *testing.T) {
	for _, name := range serveFlags {
		if !strings.Contains(helpServe, "\n  --"+name+" ") && name != "help" {
			t.Errorf("--%s is missing", name)
		}
	}
}
