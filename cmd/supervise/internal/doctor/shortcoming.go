package doctor

import (
	"path"
	"slices"
	"strings"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// facts answers the questions that the conditions of the table ask about a diagnosis.
type facts struct{ *protocol.Diagnosis }

func (f facts) container() string {
	if f.Place.Container == nil {
		return ""
	}
	return *f.Place.Container
}

// own returns the cgroup that jobs would be made in, or the process's own if there is no such
// cgroup; nil if the mount does not show it.
func (f facts) own() *protocol.CgroupOnPath {
	if len(f.Chain) == 0 {
		return nil
	}
	return &f.Chain[len(f.Chain)-1]
}

// closed says that the own cgroup is visible, but not writable.
func (f facts) closed() bool { return f.own() != nil && (f.Mount.ReadOnly || !f.own().Writable) }

func (f facts) shared() bool { return f.Road != nil && *f.Road == string(cgroup.Shared) && !f.Top }

func (f facts) unmounted() bool    { return f.Mount == nil }
func (f facts) foreignMount() bool { return f.Mount != nil && !f.Mount.Shown }

// closedContainer: the container's root may not write, or the mount is read-only for every user:
// then a systemd inside does not run either.
func (f facts) closedContainer() bool {
	return f.container() != "" && f.closed() && !f.readOnly() && (f.Mount.ReadOnly || f.Place.UID == 0)
}

func (f facts) containerUser() bool {
	return f.container() != "" && f.closed() && !f.closedContainer() && !f.Place.Systemd
}

// inUserNamespace: the namespace's root is an ordinary user for the cgroups outside.
func (f facts) inUserNamespace() bool {
	return f.container() == "" && f.closed() && !f.Mount.ReadOnly && f.Place.UserNamespace
}

// readOnly: the mount is read-only for this process, and not for the whole container.
func (f facts) readOnly() bool {
	return f.closed() && f.Mount.ReadOnly && (f.container() == "" || f.Place.Systemd)
}

// wantsScope says that only systemd can provide a cgroup for this process alone. A service is
// not left for a scope; nor is what cgroup.Judge has found to be another program's.
func (f facts) wantsScope() bool {
	return f.Place.Systemd && f.service() == "" && !f.shared() && (f.closedHere() || f.keptByUserManager())
}

// closedHere: the own cgroup is closed to this process, and not by a container, a mount or a
// namespace.
func (f facts) closedHere() bool {
	return f.closed() && !f.closedContainer() && !f.readOnly() && !f.inUserNamespace()
}

// crowded: jobs stay in a service that is delegated, and holds other processes.
func (f facts) crowded() bool { return f.service() != "" && f.shared() && f.serviceDelegated() }

// staysInside: jobs stay in a cgroup that a limit, or another program, keeps them in.
func (f facts) staysInside() bool { return f.Place.Systemd && f.service() == "" && f.shared() }

func (f facts) noUserManager() bool {
	return f.wantsScope() && f.Place.UserManager != nil && !*f.Place.UserManager
}

func (f facts) needsScope() bool { return f.wantsScope() && !f.noUserManager() }

// needsOwnCgroup: there is no systemd, and the own cgroup is another user's, or holds other
// processes.
func (f facts) needsOwnCgroup() bool {
	mayNot := f.closed() && f.container() == "" && !f.readOnly() && !f.inUserNamespace()
	return !f.Place.Systemd && (mayNot || f.shared())
}

// v1Held lists the controllers that are missing because version 1 has them.
func (f facts) v1Held() (held []string) {
	for _, c := range f.Controllers {
		if !c.Available && c.StopsAt == nil && slices.Contains(f.V1, cgroup.V1Name(c.Name)) {
			held = append(held, c.Name)
		}
	}
	return held
}

func (f facts) heldByV1() bool { return len(f.v1Held()) > 0 }

// find returns the index in the chain of the first cgroup of such a name, -1 if there is none.
func (f facts) find(prefix, suffix string) int {
	return slices.IndexFunc(f.Chain, func(c protocol.CgroupOnPath) bool {
		base := path.Base(c.Name)
		return strings.HasPrefix(base, prefix) && strings.HasSuffix(base, suffix)
	})
}

// userService returns the index in the chain of the user's manager.
func (f facts) userService() int { return f.find("user@", ".service") }

// stopped lists the controllers that stop at an index of the chain for which at is true. The
// index is -1 for a controller that no cgroup of the chain has. The controllers in except are
// left out.
func (f facts) stopped(at func(i int) bool, except ...string) (names []string) {
	except = slices.Concat(except, f.v1Held())
	for _, c := range f.Controllers {
		i := -1
		if c.StopsAt != nil {
			i = slices.IndexFunc(f.Chain, func(p protocol.CgroupOnPath) bool { return p.Name == *c.StopsAt })
		}
		if !c.Available && len(f.Chain) > 0 && at(i) && !slices.Contains(except, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// keptFromUsers: the system's manager gives the users' managers too little.
func (f facts) keptFromUsers() bool { return len(f.fromUsers()) > 0 }

// fromUsers lists the controllers that do not reach the user's manager. supervise-scope may
// have seen which reach it. Otherwise the chain tells: in a login session the user's manager is
// a sibling, below the same slice. In a rootless podman the chain does not show it.
func (f facts) fromUsers() []string {
	if f.inRootless() {
		return f.stopped(func(i int) bool { return i < 0 })
	}
	if seen := f.Bus.UserControllers; seen != nil {
		return f.stopped(func(i int) bool { return i >= 0 }, seen...)
	}
	user := f.userService()
	if user < 0 {
		user = f.find("user-", ".slice") + 1
	}
	return f.stopped(func(i int) bool { return i >= 0 && i < user })
}

func (f facts) inRootless() bool {
	return f.container() == podman && !f.closed() && f.find("user", ".slice") < 0
}

// keptByUserManager: controllers reach the user's manager, but not the own cgroup.
func (f facts) keptByUserManager() bool {
	user := f.userService()
	return user >= 0 && len(f.stopped(func(i int) bool { return i >= user })) > 0
}

// service returns the name of the service that this process is in, "" if none. The user's
// manager is none.
func (f facts) service() string {
	if i := f.inService(); i >= 0 {
		return path.Base(f.Chain[i].Name)
	}
	return ""
}

// inService returns the index of the service in the chain, -1: there is none.
func (f facts) inService() int {
	if !f.Place.Systemd {
		return -1
	}
	for i, c := range slices.Backward(f.Chain) {
		if strings.HasSuffix(c.Name, ".service") {
			if i == f.userService() {
				return -1
			}
			return i
		}
	}
	return -1
}

func (f facts) serviceDelegated() bool { return f.Chain[f.inService()].Delegated }

// usersService: the service is one of the user's manager.
func (f facts) usersService() bool { return f.userService() >= 0 }

// keptFromService: jobs stay in a service that is not delegated, or not with all controllers.
// A service with a read-only mount is left out, as readOnlyFix has both fixes.
func (f facts) keptFromService() bool {
	if f.service() == "" || f.readOnly() || f.crowded() {
		return false
	}
	stops := len(f.stopped(func(i int) bool { return i >= 0 })) > 0 && !f.usersService()
	return stops || (f.shared() || f.closedHere()) && !f.serviceDelegated()
}

func (f facts) noScopeProgram() bool { return f.Place.Systemd && f.Bus.Program == nil }

// unreachable: supervise-scope is there, but no manager answers it.
func (f facts) unreachable() bool {
	answers := slices.ContainsFunc(f.Bus.Roads, func(r protocol.BusRoad) bool { return r.OK })
	return f.Place.Systemd && f.Bus.Program != nil && !answers && !f.noUserManager()
}

// lacks asks whether a feature is known to be missing.
func lacks(name string) func(facts) bool {
	return func(f facts) bool {
		return slices.ContainsFunc(f.Features, func(p protocol.Feature) bool {
			return p.Name == name && p.Works != nil && !*p.Works
		})
	}
}
