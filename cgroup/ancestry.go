package cgroup

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An ancestry is a job's position in the hierarchy, as far as it explains why a
// controller does not get there.
type ancestry struct {
	root      string // where the session is
	levels    []level
	v1        []string // controllers that hierarchies of version 1 hold
	container bool
	managed   bool // by systemd
	user      bool // we are not root
}

// A level is a cgroup above the job, the nearest first.
type level struct {
	path        string
	controllers []string
	busy        bool // it holds processes of its own
}

// where looks up from the job node to the top of the mount.
func (j *Job) where() ancestry {
	self, _ := readFile("/proc/self/cgroup")
	v := ancestry{root: j.s.root.path, v1: parseV1(self), managed: Managed(), user: unix.Geteuid() != 0}
	v.container = exists("/run/.containerenv") || exists("/.dockerenv") || exists("/run/host/container-manager")
	for p := path.Dir(j.node.path); ; p = path.Dir(p) {
		d, err := openDir(p)
		if err != nil {
			return v // above the mount
		}
		l := level{path: p}
		l.controllers, _ = d.list("cgroup.controllers")
		pids, _ := d.ownProcs()
		l.busy = len(pids) > 0 && d.has("cgroup.events") // the root of the hierarchy, which has none, may hold both
		d.close()
		v.levels = append(v.levels, l)
		if p == "/" {
			return v
		}
	}
}

// stops returns the directory where a controller stops, why, and what to do.
func (v ancestry) stops(controller string) (ancestor, reason, fix string) {
	for _, l := range v.levels {
		if !slices.Contains(l.controllers, controller) {
			continue
		}
		reason = "does not hand it down"
		if l.busy {
			reason = "holds processes of its own, and therefore does not hand it down"
		}
		return l.path, reason, v.fix(l, controller)
	}
	if len(v.levels) > 0 {
		ancestor = v.levels[len(v.levels)-1].path
	}
	reason, fix = v.nowhere(controller)
	return ancestor, reason, fix
}

// fix says how a cgroup that has a controller is made to hand it down.
func (v ancestry) fix(l level, controller string) string {
	manager, below := userManager(v.root)
	switch {
	case !v.managed && !v.container:
		return "start supervise in a cgroup of its own, with no other process in it"
	case v.container:
		return "start the container's command through supervise, as its first process, or supervise in a cgroup of its own"
	case below && !strings.HasPrefix(l.path, manager):
		return usersFix(controller)
	case isService(v.root) && !below:
		return fmt.Sprintf("systemctl edit %s: [Service] Delegate=yes", path.Base(v.root))
	case v.user:
		return "run it in a delegated scope or service: systemd-run --user --scope -p Delegate=yes supervise run ..."
	}
	return "run it in a delegated scope or service: systemd-run --scope -p Delegate=yes supervise run ..."
}

// delegated is what systemd can hand to users (systemd.resource-control(5), Delegate=).
const delegated = "cpu cpuset io memory pids"

func usersFix(controller string) string {
	if !slices.Contains(strings.Fields(delegated), controller) {
		return "systemd does not hand this one on: use a cgroup that is not of its making (--cgroup)"
	}
	return fmt.Sprintf("as root, systemctl edit user@.service: [Service] Delegate=%s; then log in anew", delegated)
}

// nowhere explains a controller that no cgroup in sight has.
func (v ancestry) nowhere(controller string) (reason, fix string) {
	v1 := controller
	if controller == "io" {
		v1 = "blkio"
	}
	switch {
	case slices.Contains(v.v1, v1):
		return "does not have it, since cgroup v1 holds it", "boot with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=" + v1
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
