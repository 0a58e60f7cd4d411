package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

// What a file of completions has of the commands and flags is between these lines.
const (
	tableBegins = "# what go test ./cmd/supervise/internal/command -run TestCompletions -update writes\n"
	tableEnds   = "# the end of that\n"
)

// TestCompletions: the completions have the commands and flags that there are, with the descriptions of the manual pages.
// Integration/completions has the shells.
func TestCompletions(t *testing.T) {
	list := described(t)
	for file, table := range map[string]string{
		"supervise.bash": forBash(list), "_supervise": forZsh(list), "supervise.fish": forFish(list),
	} {
		file = filepath.Join(contrib, "completions", file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, behind, begins := strings.Cut(string(text), tableBegins)
		_, behind, ends := strings.Cut(behind, tableEnds)
		if !begins || !ends {
			t.Fatalf("%s has no place for the table", file)
		}
		golden.Compare(t, filepath.Join("..", file), before+tableBegins+table+tableEnds+behind)
	}
}

// A choice is a command or a flag with its description, a choice of values with none.
type choice struct {
	cli.About
	values []string // words; nil: it takes no such
	about  string
	flags  []choice
}

// described are the commands with their flags.
func described(t *testing.T) (list []choice) {
	t.Helper()
	about := items(t, "supervise.1", "", "Ic ")
	flags := map[string]documented{}
	for _, d := range documents() {
		flags[d.name] = d
	}
	for _, name := range commands() {
		c := choice{About: cli.About{Name: name}, about: plain(about[name].text)}
		if d, ok := flags[name]; ok {
			c.flags = describedFlags(t, d)
		}
		list = append(list, c)
	}
	return list
}

// describedFlags are the flags of one command.
func describedFlags(t *testing.T, d documented) (list []choice) {
	t.Helper()
	explained := d.explained(t)
	for _, f := range d.flags {
		text := plain(explained[f.Name].text)
		if f.Name == "help" {
			text = "Print a summary of the flags"
		}
		if text == "" {
			t.Errorf("--%s of %s has no description", f.Name, d.name)
		}
		list = append(list, choice{About: f, values: values(f.Value), about: text})
	}
	return list
}

// values are the words that a flag takes.
func values(kind string) (words []string) {
	switch kind {
	case "", "FILE", "DIRECTORY":
		return nil
	case "SIGNAL":
		for sig := unix.Signal(1); sig < 32; sig++ {
			words = append(words, strings.TrimPrefix(unix.SignalName(sig), "SIG"))
		}
		return words
	case "PROPERTY":
		_, properties := cgroup.LimitNames()
		for _, p := range append(properties, "RuntimeMaxSec") {
			words = append(words, p+"=")
		}
		return words
	}
	return strings.Split(kind, "|")
}

// plain is the first clause of a text of a manual page, without macros and the stop: a description for a list.
func plain(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		quiet := regexp.MustCompile(`^\.(Dv|Fl|Li|Ar|Pa|Ev|Nm|Ic|Va|Xr) `)
		if line == ".Nm" {
			line = "supervise"
		} else if macro := quiet.FindString(line); strings.HasPrefix(macro, ".Fl") {
			line = "-" + line[len(macro):]
		} else {
			line = line[len(macro):]
		}
		words = append(words, line)
		if regexp.MustCompile(`[.;:]$`).MatchString(line) {
			break
		}
	}
	clause := regexp.MustCompile(`[.;:]( |$)`).Split(strings.Join(words, " "), 2)[0]
	return strings.TrimSpace(strings.ReplaceAll(clause, " ,", ","))
}

// forBash is a case for each command.
func forBash(list []choice) string {
	var b strings.Builder
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
		if c.flags == nil {
			continue
		}
		fmt.Fprintf(&b, "\t%s) echo '", c.Name)
		for i, f := range c.flags {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(bashFlag("--"+f.Name, f))
			if f.Short != "" {
				b.WriteString(" " + bashFlag(f.Short, f))
			}
		}
		b.WriteString("' ;;\n")
	}
	fmt.Fprintf(&b, "\tsignals) echo '%s' ;;\n", strings.Join(values("SIGNAL"), "|"))
	fmt.Fprintf(&b, "\t'') echo '%s' ;;\n", strings.Join(names, "|"))
	return b.String()
}

func bashFlag(name string, f choice) string {
	switch {
	case f.Switch, f.Optional:
		return name
	case f.values != nil:
		return name + "=" + strings.Join(f.values, "|")
	}
	return name + "=" + f.Value
}

// forZsh is a case for each command, of specifications for _arguments.
func forZsh(list []choice) string {
	var b, names strings.Builder
	for _, c := range list {
		fmt.Fprintf(&names, "\t\t%s\n", quoted(c.Name+":"+c.about))
		if c.flags == nil {
			continue
		}
		fmt.Fprintf(&b, "\t%s) flags=(\n", c.Name)
		for _, f := range c.flags {
			fmt.Fprintf(&b, "\t\t%s\n", quoted(zshFlag("--"+f.Name, f)))
			if f.Short != "" {
				fmt.Fprintf(&b, "\t\t%s\n", quoted(zshFlag(f.Short, f)))
			}
		}
		if c.Name == "signal" {
			fmt.Fprintf(&b, "\t\t'1:signal:(%s)'\n", strings.Join(values("SIGNAL"), " "))
		}
		b.WriteString("\t) ;;\n")
	}
	return b.String() + "\t'') flags=(\n" + names.String() + "\t) ;;\n"
}

// zshFlag is a flag for _arguments.
func zshFlag(name string, f choice) string {
	about := "[" + strings.NewReplacer("[", `\[`, "]", `\]`).Replace(f.about) + "]"
	action := " "
	switch {
	case f.Switch:
		return name + about
	case f.Optional:
		return name + "=-" + about + "::value: "
	case f.Value == "PROPERTY":
		action = "compadd -S '' - " + strings.Join(f.values, " ")
	case f.values != nil:
		action = "(" + strings.Join(f.values, " ") + ")"
	case f.Value == "FILE":
		action = "_files"
	case f.Value == "DIRECTORY":
		action = "_files -/"
	}
	return name + "=" + about + ":value:" + action
}

// forFish is a command for each command and flag.
func forFish(list []choice) string {
	var b strings.Builder
	valued := []string{}
	for _, c := range list {
		fmt.Fprintf(&b, "complete -c supervise -n 'test (count (commandline -opc)) = 1' -a %s -d %s\n", c.Name, quoted(c.about))
		fmt.Fprintf(&b, "complete -c supervise -n '__supervise_in help' -a %s -d %s\n", c.Name, quoted(c.about))
	}
	fmt.Fprintf(&b, "complete -c supervise -n '__supervise_in signal; and test (__supervise_given) = 0' -a '%s'\n", strings.Join(values("SIGNAL"), " "))
	for _, c := range list {
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c supervise -n '__supervise_in %s' -l %s", c.Name, f.Name)
			if f.Short != "" {
				fmt.Fprintf(&b, " -s %s", f.Short[1:])
			}
			if !f.Switch && !f.Optional {
				b.WriteString(fishValue(f))
			}
			if c.Name == "run" && !f.Switch && !f.Optional {
				valued = append(valued, "--"+f.Name)
				if f.Short != "" {
					valued = append(valued, f.Short)
				}
			}
			fmt.Fprintf(&b, " -d %s\n", quoted(f.about))
		}
	}
	return "set -g __supervise_valued " + strings.Join(valued, " ") + "\n" + b.String()
}

func fishValue(f choice) string {
	switch {
	case f.values != nil:
		return " -xa '" + strings.Join(f.values, " ") + "'"
	case f.Value == "FILE":
		return " -rF"
	case f.Value == "DIRECTORY":
		return " -xa '(__fish_complete_directories)'"
	}
	return " -x"
}

// quoted is a word for any of the shells.
func quoted(text string) string { return `'` + strings.ReplaceAll(text, `'`, `'\''`) + `'` }
