package run

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestHelpNamesFlags: the help has every flag, and fits on a screen. The file is the help text
// that the command prints: its own package's tests see to that.
func TestHelpNamesFlags(t *testing.T) {
	text := read(t, "../command/testdata/help-run.txt")
	for _, f := range Flags() {
		// Of --memory-high and the like the help has the ends.
		if f.Name != "help" && !named(text, "--"+f.Name) && !named(text, strings.TrimPrefix(f.Name, "memory")) {
			t.Errorf("--%s is missing", f.Name)
		}
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len(line) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

// named says whether a flag is in a text, and not only as the beginning of another.
func named(text, flag string) bool {
	return regexp.MustCompile(regexp.QuoteMeta(flag) + `([^a-z-]|$)`).MatchString(text)
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
