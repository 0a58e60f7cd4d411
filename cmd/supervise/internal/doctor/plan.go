package doctor

import (
	"fmt"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/protocol"
)

// plan is a shell script that repairs this machine as far as commands can, for people who
// read it first: all else is a comment.
func (d *diagnosis) plan() string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	if len(d.Fixes) == 0 {
		b.WriteString("# supervise doctor has found nothing to repair here.\n")
		return b.String()
	}
	b.WriteString(commented("", "What supervise doctor would do here. It has changed nothing. Every command may be run again; "+
		"those for root are marked so."))
	for i, f := range d.Fixes {
		b.WriteString("\n" + commented(fmt.Sprintf("%d. ", i+1), strings.ToUpper(f.Problem[:1])+f.Problem[1:]+"."))
		if len(f.Commands) == 0 {
			b.WriteString(byHand(f))
			continue
		}
		for _, group := range grouped(f.Commands) {
			b.WriteString(d.groupText(group))
		}
		b.WriteString(afterwards(f))
	}
	return b.String()
}

// commented breaks words into lines of a comment. What is not printable is escaped, so that
// no name ends the comment.
func commented(label, words string) string {
	text, line, begun := "", "# "+label, false
	for word := range strings.FieldsSeq(cli.Printable(words)) {
		if begun && len(line)+1+len(word) > screen {
			text += line + "\n"
			line, begun = "# "+strings.Repeat(" ", len(label)), false
		}
		if begun {
			line += " "
		}
		line, begun = line+word, true
	}
	return text + line + "\n"
}

// byHand is a fix that no command here makes.
func byHand(f protocol.Fix) string {
	text := commented("   ", f.Advice)
	for _, line := range f.Lines {
		text += "#        " + cli.Printable(line) + "\n"
	}
	return text
}

// grouped are the commands that one user runs in a row.
func grouped(list []protocol.FixCommand) (groups [][]protocol.FixCommand) {
	for i, c := range list {
		if i == 0 || c.Root != list[i-1].Root {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], c)
	}
	return groups
}

// groupText is for the user that the diagnosis was made for. A document in quotes gets the
// commands to root's shell as they are.
func (d *diagnosis) groupText(group []protocol.FixCommand) string {
	var b strings.Builder
	sudo := group[0].Root && d.Place.UID != 0
	if group[0].Root {
		b.WriteString("# as root:\n")
	}
	if sudo {
		b.WriteString("sudo sh -e <<'EOF'\n")
	}
	for _, c := range group {
		b.WriteString(commented("", c.Why+":") + c.Line + "\n")
	}
	if sudo {
		b.WriteString("EOF\n")
	}
	return b.String()
}

// afterwards says what ends something that runs, and so is left to people.
func afterwards(f protocol.Fix) string {
	switch f.Name {
	case "delegate-to-users":
		return commented("", "It holds for users who log in anew, after all their sessions have ended.")
	case "delegate-to-service", "delegate-subgroup":
		return commented("", "Then restart the service, which ends what runs in it.")
	case "read-only":
		if len(f.Lines) > 1 {
			return commented("", "Then restart the service, which ends what runs in it.")
		}
	case "own-cgroup":
		if len(f.Commands) == 1 {
			return byHand(protocol.Fix{Advice: f.Advice, Lines: f.Lines})
		}
	}
	return ""
}
