package main

import (
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	golden(t, "help.txt", helpText)
	golden(t, "help-run.txt", helpRun)
	golden(t, "help-doctor.txt", helpDoctor)
}

// TestHelpNamesFlags: every flag is explained, in the order of the table.
func TestHelpNamesFlags(t *testing.T) {
	text := helpRun
	for _, f := range runFlags {
		if f.name == "help" || f.name == "fallback-reason" {
			continue // known; and between us
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
