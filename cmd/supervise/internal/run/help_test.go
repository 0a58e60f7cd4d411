package run

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestHelpNamesFlags: every flag is explained, in the order of the table. The file is the
// help text that the command prints: its own package's tests see to that.
func TestHelpNamesFlags(t *testing.T) {
	b, err := os.ReadFile("../../testdata/help-run.txt")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, f := range flags() {
		if slices.Contains([]string{"help", "fallback-reason", "group", "events", "program", "no-guard"}, f.Name) {
			continue // known; between one supervise and another; or the last of all, looked for below
		}
		_, rest, found := strings.Cut(text, "\n  --"+f.Name+" ")
		if !found {
			t.Errorf("--%s is missing, or not in its place", f.Name)
			continue
		}
		text = rest
		if hasValue := rest[0] != ' '; hasValue == f.Switch {
			t.Errorf("--%s: with a value in the help: %t", f.Name, hasValue)
		}
	}
	if !strings.Contains(text, "\n  --no-guard  ") {
		t.Error("--no-guard is missing")
	}
}
