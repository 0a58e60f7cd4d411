package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/protocol"
)

const (
	screen    = 80 // columns
	labelSize = 13
	fixIndent = 4  // of lines to be copied, few of which are longer than the rest
	maxChain  = 12 // cgroups shown, of more those in the middle are left out
)

// text is the diagnosis for people, one screen.
func (d *diagnosis) text() string {
	var b strings.Builder
	for _, l := range [][2]string{
		{"containment", d.containmentText()}, {"place", d.placeText()}, {"mount", d.mountText()}, {"own cgroup", d.ownText()},
	} {
		b.WriteString(wrapped(l[0], l[1]))
	}
	b.WriteString(d.chainText())
	b.WriteString(d.featuresText())
	b.WriteString(d.busText())
	b.WriteString(d.fixesText())
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = cli.Printable(lines[i]) // those of fixes have names too
	}
	return strings.Join(lines, "\n")
}

// wrapped breaks words into lines behind a label. A word that is longer than a line is a path or
// a command, and stays whole.
func wrapped(label, words string) string {
	var b strings.Builder
	line := fmt.Sprintf("%-*s", labelSize, label)
	for word := range strings.FieldsSeq(cli.Printable(words)) {
		if len(line)+1+len(word) > screen && strings.TrimSpace(line) != "" && len(line) > labelSize {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", labelSize)
		}
		line += " " + word
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// roadText describes a road.
func roadText(road string) string {
	switch cgroup.Origin(road) {
	case cgroup.Explicit:
		return "the cgroup that was named"
	case cgroup.Nested:
		return "the job of an outer supervise"
	case cgroup.Delegated:
		return "handed over to us, with nobody else in it"
	case cgroup.Shared:
		return "our own cgroup, without controllers"
	}
	return "unknown"
}

func (d *diagnosis) containmentText() string {
	switch {
	case d.Root != nil:
		text := fmt.Sprintf("%s, below %s (%s: %s)", d.Containment, d.rootName(), *d.Road, roadText(*d.Road))
		if d.Reason != nil {
			text += "; " + *d.Reason
		}
		return text
	case d.Reason != nil:
		return fmt.Sprintf("%s, because: %s", d.Containment, *d.Reason)
	}
	return string(d.Containment)
}

// rootName is the root without the mount point, which has a line of its own.
func (d *diagnosis) rootName() string {
	if d.Mount == nil || *d.Root == d.Mount.Point {
		return *d.Root
	}
	return strings.TrimPrefix(*d.Root, d.Mount.Point)
}

func (d *diagnosis) placeText() string {
	p := d.Place
	list := []string{"user " + strconv.Itoa(p.UID), "no container"}
	if p.Container != nil {
		list[1] = "container: " + *p.Container
	}
	if p.UserNamespace {
		list = append(list, "a user namespace")
	}
	switch {
	case !p.Systemd:
		list = append(list, "no systemd")
	case p.UserManager == nil:
		list = append(list, "systemd")
	case *p.UserManager:
		list = append(list, "systemd with a user manager")
	default:
		list = append(list, "systemd without a user manager")
	}
	return strings.Join(list, ", ")
}

func (d *diagnosis) mountText() string {
	m := d.Mount
	if m == nil {
		return "no cgroup2 file system"
	}
	text := m.Point + " shows " + m.Root
	if !m.Shown {
		text += ", where our own cgroup is not"
	}
	if m.ReadOnly {
		text += ", read-only"
	}
	if len(d.V1) > 0 {
		text += "; cgroup v1 holds " + strings.Join(d.V1, " ")
	}
	return text
}

func (d *diagnosis) ownText() string {
	switch {
	case d.Cgroup == nil:
		return "none"
	case d.Others == nil:
		return *d.Cgroup
	case *d.Others == 0:
		return *d.Cgroup + ", with no other process in it"
	case *d.Others == 1:
		return *d.Cgroup + ", with one other process in it"
	}
	return fmt.Sprintf("%s, with %d other processes in it", *d.Cgroup, *d.Others)
}

// chainText is a table: a row for each cgroup, a column for each controller.
func (d *diagnosis) chainText() string {
	if len(d.Chain) == 0 {
		return ""
	}
	var b strings.Builder
	row := func(name, owner, write string, cells []string) {
		fmt.Fprintf(&b, "%-*s %-6s %-6s", screen-1-13-1-5*7, name, owner, write)
		for _, c := range cells {
			fmt.Fprintf(&b, " %-6s", c)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	row("cgroup", "owner", "write", limitControllers)
	for i, c := range d.Chain {
		switch over := len(d.Chain) - maxChain; {
		case over > 0 && i == maxChain/2:
			fmt.Fprintf(&b, "  ... %d more ...\n", over)
		case over <= 0 || i < maxChain/2 || i > maxChain/2+over-1:
			row(indented(c.Name, i), d.owner(c.UID), yesNo(c.Writable), d.cells(i))
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// indented returns the last part of a name, cut to fit.
func indented(name string, depth int) string {
	const width = screen - 1 - 13 - 1 - 5*7
	base := name[strings.LastIndexByte(name, '/')+1:]
	if base == "" || depth == 0 {
		base = name
	}
	text := []rune(strings.Repeat(" ", min(depth, 6)) + cli.Printable(base))
	if len(text) > width {
		return string(text[:width-2]) + ".."
	}
	return string(text)
}

func (d *diagnosis) owner(uid *int) string {
	switch {
	case uid == nil:
		return "?"
	case *uid == 0:
		return "root"
	case *uid == d.Place.UID:
		return "you"
	}
	return strconv.Itoa(*uid)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// cells says for each controller whether it goes on below a row's cgroup. In the last row, the
// cgroup that jobs are made in, it has arrived: supervise itself decides whether to hand it on.
func (d *diagnosis) cells(i int) (list []string) {
	c := d.Chain[i]
	for _, name := range limitControllers {
		switch {
		case !slices.Contains(c.Controllers, name):
			list = append(list, "-")
		case i == len(d.Chain)-1:
			list = append(list, "yes")
		case slices.Contains(c.SubtreeControl, name):
			list = append(list, "on")
		default:
			list = append(list, "stops")
		}
	}
	return list
}

func (d *diagnosis) featuresText() string {
	groups := map[string][]string{} // names by the text to print for them
	var order []string
	for _, f := range d.Features {
		key := featureLabel(f) + "\n"
		if f.Detail != nil {
			key += " (" + *f.Detail + ")"
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], f.Name)
	}
	slices.Sort(order)
	text := "\n"
	for _, key := range order {
		label, detail, _ := strings.Cut(key, "\n")
		text += wrapped(label, strings.Join(groups[key], ", ")+detail)
	}
	return text
}

// featureLabel is in the order of the alphabet.
func featureLabel(f protocol.Feature) string {
	switch {
	case f.Works == nil:
		return "unknown"
	case *f.Works:
		return "kernel has"
	}
	return "lacks"
}

func (d *diagnosis) busText() string {
	if !d.Place.Systemd && len(d.Bus.Roads) == 0 {
		return wrapped("bus", "none, for systemd does not run here")
	}
	text := ""
	if d.Bus.Error != nil {
		text = wrapped("bus", *d.Bus.Error)
	}
	for _, r := range d.Bus.Roads {
		state := "ok"
		if !r.OK {
			state = "no answer"
		}
		if r.Error != nil {
			state = *r.Error
		}
		text += wrapped("bus", fmt.Sprintf("%s (%s): %s", r.Road, r.Address, state))
	}
	return text
}

func (d *diagnosis) fixesText() string {
	text := ""
	for i, f := range d.Fixes {
		text += "\n" + wrapped(fmt.Sprintf("fix %d", i+1), strings.ToUpper(f.Problem[:1])+f.Problem[1:]+". "+f.Advice)
		for _, l := range f.Lines {
			text += strings.Repeat(" ", fixIndent) + l + "\n"
		}
	}
	return text
}
