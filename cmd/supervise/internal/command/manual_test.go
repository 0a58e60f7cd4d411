package command

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/report"
	"github.com/seed-c1490a04/supervise/cmd/internal/top"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/doctor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/run"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/serve"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/steer"
)

// contrib is where the manual pages and the completions are.
const contrib = "../../../../contrib"

// A documented command has its flags in a section of a manual page.
type documented struct {
	name    string
	flags   []cli.About
	page    string // in contrib/man
	section string // "": any
}

// documents are the commands that have flags, in the order of the help text.
func documents() []documented {
	list := []documented{
		{"run", run.Flags(), "supervise-run.1", ""},
		{"serve", serve.Flags(), "supervise-serve.7", ""},
	}
	for _, name := range steer.Names {
		section := name
		if name == "freeze" || name == "thaw" {
			section = "freeze, thaw"
		}
		list = append(list, documented{name, steer.Flags(name), "supervise.1", section})
	}
	list = append(list, documented{"top", top.Flags().About(), "supervise-top.1", ""})
	list = append(list, documented{"report", report.Flags().About(), "supervise-report.1", ""})
	return append(list, documented{"doctor", doctor.Flags(), "supervise.1", "doctor"})
}

// An item of a list in a manual page.
type item struct{ head, text string }

// items are those of the lists of a page that begin with a macro, by the name behind it: "Fl -" for flags. With a
// section they are those below its heading.
func items(t *testing.T, page, section, macro string) map[string]item {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(contrib, "man", page))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if section != "" {
		_, below, found := strings.Cut(text, "\n.Ss "+section+"\n")
		if !found {
			t.Fatalf("%s has no section %q", page, section)
		}
		text = regexp.MustCompile(`\n\.S[sh] `).Split(below, 2)[0]
	}
	found := map[string]item{}
	for _, part := range strings.Split(text, "\n.It ")[1:] {
		part, _, _ = strings.Cut(part, "\n.El")
		head, text, _ := strings.Cut(part, "\n")
		if rest, ok := strings.CutPrefix(head, macro); ok {
			name, rest, _ := strings.Cut(rest, " ")
			found[name] = item{rest, text}
		}
	}
	return found
}

// explained are the flags in the manual page, by name.
func (d documented) explained(t *testing.T) map[string]item {
	t.Helper()
	if d.name != "limit" {
		return items(t, d.page, d.section, "Fl -")
	}
	found := items(t, "supervise-run.1", "Limits", "Fl -") // which the page refers to
	for _, name := range []string{"property", "resources", "best-effort"} {
		delete(found, name)
	}
	return found
}

// TestManualNamesFlags: the manual pages explain every flag, say whether it has a value, and what counts without it; and
// they explain no other.
func TestManualNamesFlags(t *testing.T) {
	for _, d := range documents() {
		explained := d.explained(t)
		for _, f := range d.flags {
			item, found := explained[f.Name]
			switch {
			case f.Name == "help" && d.section != "": // of all commands in one sentence
			case !found:
				t.Errorf("%s: --%s of %s is missing", d.page, f.Name, d.name)
			case strings.Contains(item.head, "Ar") == f.Switch:
				t.Errorf("%s: --%s: with a value: %t", d.page, f.Name, !f.Switch)
			case f.Short != "" && !strings.Contains(item.head, "Fl "+f.Short[1:]):
				t.Errorf("%s: --%s is %s as well", d.page, f.Name, f.Short)
			case !f.Switch && !strings.Contains(strings.ToLower(item.text), "default"):
				t.Errorf("%s: --%s: no default", d.page, f.Name)
			}
			delete(explained, f.Name)
		}
		for name := range explained {
			t.Errorf("%s: --%s of %s is explained, but there is none", d.page, name, d.name)
		}
	}
}

// TestManualNamesCommands: the manual page explains every command, and no other.
func TestManualNamesCommands(t *testing.T) {
	explained := items(t, "supervise.1", "", "Ic ")
	for _, name := range commands() {
		if explained[name].text == "" {
			t.Errorf("%s is missing", name)
		}
		delete(explained, name)
	}
	for name := range explained {
		t.Errorf("%s is explained, but there is no such command", name)
	}
	for name := range helpTexts {
		if name != "" && !slices.Contains(commands(), name) {
			t.Errorf("%s has a help text, but is no command", name)
		}
	}
}
