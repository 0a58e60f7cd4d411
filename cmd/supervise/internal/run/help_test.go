package run

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// internal are the flags that one supervise says to another.
var internal = []string{"fallback-reason", "group", "events", "program"}

// known are the flags for users, those of limits among them.
func known() (list []flag) {
	for _, f := range flags() {
		if !slices.Contains(internal, f.Name) {
			list = append(list, f)
		}
	}
	for _, name := range limitFlags() {
		list = append(list, *limitFlag(name))
	}
	return list
}

// TestHelpNamesFlags: the help has every flag, and fits on a screen. The file is the help text
// that the command prints: its own package's tests see to that.
func TestHelpNamesFlags(t *testing.T) {
	text := read(t, "../../testdata/help-run.txt")
	for _, f := range known() {
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

// TestManualNamesFlags: the manual page explains every flag, says whether it has a value, and what
// counts without it.
func TestManualNamesFlags(t *testing.T) {
	items := map[string]string{}
	for _, part := range strings.Split(read(t, "../../../../contrib/man/supervise-run.1"), "\n.It Fl -")[1:] {
		head, text, _ := strings.Cut(part, "\n")
		name, rest, _ := strings.Cut(head, " ")
		items[name] = rest + "\n" + text
	}
	for _, f := range known() {
		item, found := items[f.Name]
		switch {
		case !found:
			t.Errorf("--%s is missing", f.Name)
		case strings.Contains(item, "Ar") == f.Switch && f.Name != "help":
			t.Errorf("--%s: with a value: %t", f.Name, !f.Switch)
		case !f.Switch && !strings.Contains(item, "default"):
			t.Errorf("--%s: no default", f.Name)
		}
		delete(items, f.Name)
	}
	for name := range items {
		t.Errorf("--%s is explained, but there is none", name)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
