package doctor

import (
	"fmt"
	"strings"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/protocol"
)

// An advice is one shortcoming: the condition that shows it, and the fix for the machine that
// was diagnosed.
type advice struct {
	name  string
	shows func(f facts) bool
	fix   func(f facts) protocol.Fix
	does  func(f facts) []protocol.FixCommand // nil: no command on this machine does it
}

// fixes returns the fix of every shortcoming in the table that shows.
func fixes(d *protocol.Diagnosis) []protocol.Fix {
	list := []protocol.Fix{}
	for _, a := range advices() {
		if f := (facts{d}); a.shows(f) {
			fix := a.fix(f)
			fix.Name = a.name
			if fix.Lines == nil {
				fix.Lines = []string{}
			}
			fix.Commands = a.commands(f)
			list = append(list, fix)
		}
	}
	return list
}

// advices is the table. It is built on the call, since every start of the program would pay
// for a variable. Shortcomings that keep jobs out of cgroups come first, then those of limits,
// then the rest. Of the advices that say how to write to a cgroup at most one applies.
func advices() []advice {
	return []advice{
		{"mount-cgroup2", facts.unmounted, facts.mountFix, facts.mountCommands},
		{"mount-own-cgroup", facts.foreignMount, facts.foreignMountFix, facts.foreignMountCommands},
		{"container-read-only", facts.closedContainer, facts.containerFix, nil},
		{"container-user", facts.containerUser, facts.containerUserFix, nil},
		{"user-namespace", facts.inUserNamespace, facts.userNamespaceFix, nil},
		{"read-only", facts.readOnly, facts.readOnlyFix, facts.readOnlyCommands},
		{"enable-linger", facts.noUserManager, facts.lingerFix, facts.lingerCommands},
		{"install-scope", facts.noScopeProgram, facts.installScopeFix, facts.installScopeCommands},
		{"delegated-scope", facts.needsScope, facts.scopeFix, nil},
		{"delegate-subgroup", facts.crowded, facts.crowdedFix, facts.serviceCommands},
		{"leave-by-name", facts.staysInside, facts.leaveFix, nil},
		{"own-cgroup", facts.needsOwnCgroup, facts.ownCgroupFix, facts.ownCgroupCommands},
		{"unified-hierarchy", facts.heldByV1, facts.unifiedFix, nil},
		{"delegate-to-users", facts.keptFromUsers, facts.delegateUsersFix, facts.delegateUsersCommands},
		{"delegate-to-service", facts.keptFromService, facts.delegateServiceFix, facts.serviceCommands},
		{"reach-systemd", facts.unreachable, facts.reachFix, nil},
		{"cgroup-kill", lacks("cgroup.kill"), text("the kernel has no cgroup.kill: to end a job takes longer", "Linux 5.14 and later have it."), nil},
		{"clone-into-cgroup", lacks("CLONE_INTO_CGROUP"), text("processes cannot be born in a cgroup: they are started by a detour",
			"Linux 5.7 and later can do it, unless a seccomp filter of the container hides clone3."), nil},
		{"pressure", lacks("cpu.pressure"), text("the kernel does not measure pressure (PSI)", "Switch it on, on the kernel's command line:", "psi=1"), nil},
		{"memory-peak", lacks("memory.peak"), text("the kernel does not keep a job's peak of memory", "Linux 5.19 and later have memory.peak."), nil},
		{"pids-peak", lacks("pids.peak"), text("the kernel does not keep a job's peak of processes", "Linux 6.1 and later have pids.peak."), nil},
	}
}

// text is a fix that is the same everywhere.
func text(problem, todo string, lines ...string) func(facts) protocol.Fix {
	return func(facts) protocol.Fix { return protocol.Fix{Problem: problem, Advice: todo, Lines: lines} }
}

func (f facts) mountFix() protocol.Fix {
	fix := protocol.Fix{Problem: "no cgroup v2 file system is mounted here"}
	switch {
	case f.container() != "":
		fix.Advice = "Start the container with a cgroup namespace of its own, and without a mount over /sys/fs/cgroup."
	case len(f.V1) > 0:
		fix.Advice = "This machine uses cgroup v1. As root; it stays until the next boot:"
		fix.Lines = []string{"mkdir -p /sys/fs/cgroup/unified", "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"}
	default:
		fix.Advice = "As root; in a sandbox, have it show /sys/fs/cgroup (bwrap: --bind /sys/fs/cgroup /sys/fs/cgroup):"
		fix.Lines = []string{"mount -t cgroup2 cgroup2 /sys/fs/cgroup"}
	}
	return fix
}

func (f facts) foreignMountFix() protocol.Fix {
	fix := protocol.Fix{Problem: fmt.Sprintf("%s shows %s, a cgroup that is not above ours: it was mounted from outside", f.Mount.Point, f.Mount.Root)}
	switch f.container() {
	case kubernetes:
		fix.Advice = "Take the hostPath volume of /sys/fs/cgroup out of the pod."
	case "":
		fix.Advice = "Mount it anew inside of the cgroup namespace:"
		fix.Lines = []string{"mount -t cgroup2 cgroup2 " + f.Mount.Point}
	default:
		fix.Advice = "Do not bind-mount the host's /sys/fs/cgroup (-v); or, if that has to be, share the host's cgroup namespace:"
		fix.Lines = []string{"--cgroupns=host"}
	}
	return fix
}

// containerFix opens a container's own cgroups to its root.
func (f facts) containerFix() protocol.Fix {
	fix := protocol.Fix{Problem: fmt.Sprintf("the cgroups of this container (%s) are closed to it", f.container())}
	switch f.container() {
	case podman:
		fix.Advice = "Start it with one of these:"
		fix.Lines = []string{"--security-opt unmask=/sys/fs/cgroup", "--systemd=always"}
	case docker:
		fix.Advice = "Start it (Docker 28 or later) with:"
		fix.Lines = []string{"--security-opt writable-cgroups=true"}
	case kubernetes: // until KEP-5474: containerd/containerd 11131, cri-o/cri-o 5277
		fix.Advice = "A pod cannot ask for it yet. The node's engine can: a runtime class of containerd 2.1 or later " +
			"(first two lines); an annotation for CRI-O, to be listed in its allowed_annotations (third):"
		fix.Lines = []string{
			"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.NAME]",
			"cgroup_writable = true",
			`cgroup2-mount-hierarchy-rw.crio.io: "true"`,
		}
	case nspawn:
		fix.Advice = "Start it by systemd-nspawn@.service, or without --keep-unit; another unit with that needs these lines. " +
			"SYSTEMD_NSPAWN_USE_CGNS=0 must not be set:"
		fix.Lines = []string{"[Service]", "Delegate=yes"}
	case lxc:
		fix.Advice = "In the container's configuration:"
		fix.Lines = []string{"lxc.mount.auto = cgroup:rw:force"}
	default:
		fix.Advice = "Have whatever starts the container mount /sys/fs/cgroup writable, in a cgroup namespace of its own."
	}
	return fix
}

func (f facts) containerUserFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: fmt.Sprintf("the cgroups of this container (%s) belong to its root, and we are user %d", f.container(), f.Place.UID),
		Advice:  "Run supervise as the container's root, and have it give up that:",
		Lines:   []string{fmt.Sprintf("supervise run -- setpriv --reuid=%d --clear-groups COMMAND", f.Place.UID)},
	}
	if f.container() == kubernetes {
		fix.Lines = append([]string{"securityContext: {runAsUser: 0}"}, fix.Lines...)
	} else {
		fix.Lines = append([]string{"--user 0"}, fix.Lines...)
	}
	return fix
}

func (f facts) userNamespaceFix() protocol.Fix {
	return protocol.Fix{
		Problem: "in this user namespace the cgroups are somebody else's",
		Advice:  "Let supervise hold the whole namespace from outside:",
		Lines:   []string{"supervise run -- unshare --user --map-root-user COMMAND"},
	}
}

func (f facts) readOnlyFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: f.Mount.Point + " is mounted read-only",
		Advice:  "Let supervise hold the sandbox from outside (supervise run -- bwrap ...), or as root:",
		Lines:   []string{"mount -o remount,bind,rw " + f.Mount.Point},
	}
	if name := f.service(); name != "" {
		fix.Advice = fmt.Sprintf("As root, systemctl edit %s:", name)
		fix.Lines = []string{"[Service]", "ProtectControlGroups=no", "Delegate=yes"}
	}
	return fix
}

func (f facts) lingerFix() protocol.Fix {
	return protocol.Fix{
		Problem: fmt.Sprintf("systemd runs no user manager for user %d, which could give us a cgroup", f.Place.UID),
		Advice:  "Log in by ssh or at a console, or have it run always:",
		Lines:   []string{fmt.Sprintf("loginctl enable-linger %d", f.Place.UID)},
	}
}

func (f facts) scopeFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: "our own cgroup is not ours to write to",
		Advice:  "Have systemd make one, which supervise-scope does by itself:",
		Lines:   []string{"systemd-run --user --scope -p Delegate=yes supervise run -- COMMAND"},
	}
	if !f.closed() {
		fix.Problem = "our unit is not delegated: no limits in it"
	}
	if f.Place.UID == 0 {
		fix.Lines[0] = strings.Replace(fix.Lines[0], "--user ", "", 1)
	}
	return fix
}

// delegateServiceFix opens a service to its jobs. Without Delegate= they have no limits of
// their own there, and a user's, in a service of root's, no cgroup.
func (f facts) delegateServiceFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: "the controllers are not delegated to " + f.service() + ", which jobs do not leave: no limits but the service's",
		Advice:  "As root, systemctl edit " + f.service() + ", and restart it:",
		Lines:   []string{"[Service]", "Delegate=yes"},
	}
	if f.usersService() {
		fix.Advice = "systemctl --user edit " + f.service() + ", and restart it:"
	}
	return fix
}

// crowdedFix has systemd put the processes of a service into a leaf, as the kernel wants it.
func (f facts) crowdedFix() protocol.Fix {
	fix := f.delegateServiceFix()
	fix.Problem = "other processes are directly in " + f.service() + ", so that it cannot hand controllers down: no limits but the service's"
	fix.Lines = append(fix.Lines, "DelegateSubgroup=main")
	fix.Advice = strings.TrimSuffix(fix.Advice, ":") + " (systemd 254):"
	return fix
}

// leaveFix is for what is kept inside by the rule that a job leaves no limit behind.
func (f facts) leaveFix() protocol.Fix {
	return protocol.Fix{
		Problem: "a job stays in our own cgroup: no limits but those of that",
		Advice:  "To have it leave for a scope of its own, and what limits it here:",
		Lines:   []string{"supervise run --scope=new -- COMMAND"},
	}
}

func (f facts) ownCgroupFix() protocol.Fix {
	own := strings.TrimSuffix(f.own().Path, "/")
	if !f.closed() {
		return protocol.Fix{
			Problem: "there are other processes in our own cgroup: no limits in it",
			Advice:  "Start supervise in one of its own:",
			Lines: []string{
				"d=" + own + "/supervise; mkdir -p $d",
				`sh -c "echo \$\$ >$d/cgroup.procs; exec supervise run -- COMMAND"`,
			},
		}
	}
	return protocol.Fix{
		Problem: "our own cgroup is not ours to write to",
		Advice:  "Root can make one that is; SHELL is the pid of the shell that is to be in it:",
		Lines: []string{
			fmt.Sprintf("d=%s/user-%d; mkdir $d", own, f.Place.UID),
			fmt.Sprintf("chown %d $d $d/cgroup.procs $d/cgroup.subtree_control", f.Place.UID),
			"echo SHELL >$d/cgroup.procs",
		},
	}
}

func (f facts) unifiedFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: "cgroup v1 holds " + strings.Join(f.v1Held(), ", ") + ": no such limits",
		Advice:  "On the kernel's command line, of the host if this is a container:",
		Lines:   []string{"systemd.unified_cgroup_hierarchy=1"},
	}
	if !f.Place.Systemd && f.container() == "" {
		fix.Lines = []string{"cgroup_no_v1=all"} // without systemd its option has no effect
	}
	return fix
}

func (f facts) delegateUsersFix() protocol.Fix {
	fix := protocol.Fix{
		Problem: "users are not given " + strings.Join(f.fromUsers(), ", ") + ": no such limits",
		Advice:  "As root, systemctl edit user@.service, and log in anew:",
		Lines:   []string{"[Service]", "Delegate=cpu cpuset io memory pids"},
	}
	if f.inRootless() {
		fix.Problem = "the container is not given " + strings.Join(f.fromUsers(), ", ") + ": no such limits"
		fix.Advice = "Start it with --cgroup-manager=systemd; and on the host, as root, systemctl edit user@.service, and log in anew:"
	}
	return fix
}

func (f facts) installScopeFix() protocol.Fix {
	return protocol.Fix{
		Problem: "supervise cannot ask systemd for a cgroup of its own: " + containment.ScopeProgram + " is not installed",
		Advice:  "Put it beside supervise:",
		Lines:   []string{"go install github.com/seed-c1490a04/supervise/cmd/" + containment.ScopeProgram + "@latest"},
	}
}

func (f facts) reachFix() protocol.Fix {
	fix := protocol.Fix{Problem: "systemd does not answer", Advice: "See whether it is well:", Lines: []string{"systemctl status"}}
	if f.Place.UID != 0 {
		fix.Lines = []string{"systemctl --user status", fmt.Sprintf("sudo systemctl restart user@%d.service", f.Place.UID)}
		fix.Advice = "See whether it is well; to restart it ends everything that the user runs:"
	}
	return fix
}
