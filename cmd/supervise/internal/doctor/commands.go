package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/protocol"
)

// commands are those of a fix, an empty list for none. One that a terminal would not show
// as it is, for the name of a cgroup in it, is nothing to be pasted.
func (a advice) commands(f facts) []protocol.FixCommand {
	list := []protocol.FixCommand{}
	if a.does != nil {
		list = append(list, a.does(f)...)
	}
	if slices.ContainsFunc(list, func(c protocol.FixCommand) bool { return c.Line != cli.Printable(c.Line) }) {
		return []protocol.FixCommand{}
	}
	return list
}

// root is a command that needs root.
func root(why, line string, args ...any) protocol.FixCommand {
	return protocol.FixCommand{Line: fmt.Sprintf(line, args...), Root: true, Why: why}
}

// word quotes a word for sh(1), if it needs that.
func word(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// mountCommands mount what is not mounted yet.
func (f facts) mountCommands() []protocol.FixCommand {
	mount := func(at string) protocol.FixCommand {
		return root("mount cgroup v2, until the next boot", "grep -q ' %[1]s cgroup2 ' /proc/mounts || mount -t cgroup2 cgroup2 %[1]s", at)
	}
	switch {
	case f.container() != "":
		return nil
	case len(f.V1) > 0:
		return []protocol.FixCommand{
			root("a place for it, beside cgroup v1", "mkdir -p /sys/fs/cgroup/unified"),
			mount("/sys/fs/cgroup/unified"),
		}
	}
	return []protocol.FixCommand{mount("/sys/fs/cgroup")}
}

// foreignMountCommands mount over it, unless that was done: then the mount shows the root
// of the namespace (proc(5), mountinfo).
func (f facts) foreignMountCommands() []protocol.FixCommand {
	if f.container() != "" {
		return nil
	}
	at := f.Mount.Point
	return []protocol.FixCommand{root("mount the cgroups of this namespace over those from outside",
		"grep -qF %s /proc/self/mountinfo || mount -t cgroup2 cgroup2 %s", word(" / "+at+" "), word(at))}
}

func (f facts) readOnlyCommands() []protocol.FixCommand {
	if f.service() == "" {
		return []protocol.FixCommand{root("let it be written to", "mount -o remount,bind,rw %s", word(f.Mount.Point))}
	}
	return f.serviceCommands()
}

func (f facts) lingerCommands() []protocol.FixCommand {
	return []protocol.FixCommand{root("start the user's manager now and at each boot", "loginctl enable-linger %d", f.Place.UID)}
}

func (f facts) installScopeCommands() []protocol.FixCommand {
	return []protocol.FixCommand{{Line: f.installScopeFix().Lines[0], Why: "install it in $(go env GOPATH)/bin, which is to be on PATH"}}
}

// ownCgroupCommands make a cgroup. That of root is for the shell in which they are run,
// hence the one that is not in the hands of root alone.
func (f facts) ownCgroupCommands() []protocol.FixCommand {
	own := strings.TrimSuffix(f.own().Path, "/")
	if !f.closed() {
		return []protocol.FixCommand{{Line: "mkdir -p " + word(own+"/supervise"), Why: "a cgroup for supervise, which is then started in it"}}
	}
	dir := fmt.Sprintf("%s/user-%d", own, f.Place.UID)
	move := protocol.FixCommand{Line: "echo $$ >" + word(dir+"/cgroup.procs"), Root: true}
	if f.Place.UID != 0 {
		move = protocol.FixCommand{Line: "echo $$ | sudo tee " + word(dir+"/cgroup.procs") + " >/dev/null"}
	}
	move.Why = "move the shell that runs this into it: paste it where jobs are to be started"
	return []protocol.FixCommand{
		root("a cgroup for the user", "mkdir -p %s", word(dir)),
		root("which may be written to by the user", "chown %d %s %s %s", f.Place.UID, word(dir), word(dir+"/cgroup.procs"), word(dir+"/cgroup.subtree_control")),
		move,
	}
}

// delegateUsersCommands have the managers of users get all controllers.
func (f facts) delegateUsersCommands() []protocol.FixCommand {
	if f.inRootless() {
		return nil // it is for the host
	}
	return dropIn("system", "user@.service", f.delegateUsersFix().Lines)
}

// serviceCommands give the service the settings of its fix.
func (f facts) serviceCommands() []protocol.FixCommand {
	var fix protocol.Fix
	switch {
	case f.readOnly():
		fix = f.readOnlyFix()
	case f.crowded():
		fix = f.crowdedFix()
	default:
		fix = f.delegateServiceFix()
	}
	manager := "system"
	if f.usersService() {
		manager = "user"
	}
	return dropIn(manager, f.service(), fix.Lines)
}

// dropIn has a manager of systemd's read settings for a unit. It restarts nothing: that
// ends what runs.
func dropIn(manager, unit string, settings []string) []protocol.FixCommand {
	dir, systemctl := word("/etc/systemd/system/"+unit+".d"), "systemctl"
	if manager == "user" {
		dir, systemctl = `"${XDG_CONFIG_HOME:-$HOME/.config}"/systemd/user/`+word(unit+".d"), "systemctl --user"
	}
	var words []string
	for _, s := range settings {
		words = append(words, word(s))
	}
	list := []protocol.FixCommand{
		root("a place for settings of "+unit, "mkdir -p %s", dir),
		root("these settings", `printf '%%s\n' %s >%s/supervise.conf`, strings.Join(words, " "), dir),
		root("have systemd read them", "%s daemon-reload", systemctl),
	}
	for i := range list {
		list[i].Root = manager != "user"
	}
	return list
}
