package cgroup

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An ancestry explains why a controller does not reach a job: the cgroups from the
// root of the mount to the job node, and the machine that they are on.
type ancestry struct {
	*View
	root      string // the directory that the session is in
	container bool
	managed   bool // systemd manages cgroups here
	user      bool // the supervisor is not root
}

func (j *Job) ancestry() ancestry {
	v := ancestry{View: Inspect(), root: j.s.root.path, managed: Managed(), user: unix.Geteuid() != 0}
	v.container = exists("/run/.containerenv") || exists("/.dockerenv") || exists("/run/host/container-manager")
	v.Lead(j.node.path)
	return v
}

// explain puts the decision of [View.Stops] into words, and says what to do.
func (v ancestry) explain(controller string) (ancestor, reason, fix string) {
	at, why := v.Stops(controller)
	switch {
	case at != nil:
		ancestor = at.Path
	case len(v.Ancestors) > 0:
		ancestor = v.Ancestors[0].Path
	}
	switch why {
	case Kept:
		return ancestor, "does not hand it down", v.fix(at.Path, controller)
	case Busy:
		return ancestor, "holds processes of its own, and therefore does not hand it down", v.fix(at.Path, controller)
	case HeldByV1:
		return ancestor, "does not have it, since cgroup v1 holds it", "boot with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=" + V1Name(controller)
	}
	reason, fix = v.absent(controller)
	return ancestor, reason, fix
}

// fix says how the cgroup at a path is made to hand its controller down.
func (v ancestry) fix(at, controller string) string {
	manager, below := userManager(v.root)
	switch {
	case !v.managed && !v.container:
		return "start supervise in a cgroup of its own, with no other process in it"
	case v.container:
		return "start the container's command through supervise, as its first process, or supervise in a cgroup of its own"
	case below && !strings.HasPrefix(at, manager):
		return usersFix(controller)
	case isService(v.root) && below:
		return fmt.Sprintf("systemctl --user edit %s: [Service] Delegate=yes", path.Base(v.root))
	case isService(v.root):
		return fmt.Sprintf("systemctl edit %s: [Service] Delegate=yes", path.Base(v.root))
	case v.user:
		return "run it in a delegated scope or service: systemd-run --user --scope -p Delegate=yes supervise run ..."
	}
	return "run it in a delegated scope or service: systemd-run --scope -p Delegate=yes supervise run ..."
}

// delegated lists the controllers that systemd can hand to users (systemd.resource-control(5), Delegate=).
const delegated = "cpu cpuset io memory pids"

func usersFix(controller string) string {
	if !slices.Contains(strings.Fields(delegated), controller) {
		return "systemd does not hand this one on: use a cgroup that is not of its making (--cgroup)"
	}
	return fmt.Sprintf("as root, systemctl edit user@.service: [Service] Delegate=%s; then log in anew", delegated)
}

// absent explains a controller that no cgroup of the chain has.
func (v ancestry) absent(controller string) (reason, fix string) {
	switch {
	case v.container:
		return "is the container's, and was not given it", "start the container with --cgroup-manager=systemd; on the host " + usersFix(controller)
	case !slices.Contains(strings.Fields(delegated), controller):
		return "does not have it: the kernel may have no such controller", ""
	}
	return "does not have it: the kernel was built, or booted, without", "boot without cgroup_disable=" + controller
}

// userManager returns the path of user@UID.service, if the cgroup is below one.
func userManager(p string) (manager string, ok bool) {
	above, rest, ok := strings.Cut(p, "/user@")
	uid, _, isService := strings.Cut(rest, ".service/")
	if _, err := strconv.ParseUint(uid, 10, 32); !ok || !isService || err != nil {
		return "", false
	}
	return above + "/user@" + uid + ".service", true
}

func isService(p string) bool { return strings.HasSuffix(p, ".service") }
