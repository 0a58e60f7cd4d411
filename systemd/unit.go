package systemd

import (
	"path"
	"strconv"
	"strings"
)

// systemManager is the user of a unit that the system's manager has made.
const systemManager = -1

// A unit is a service or scope, recognised by its path in the cgroup tree.
type unit struct {
	name   string
	cgroup string // the unit's cgroup, which the process may be below
	user   int    // the user whose manager has made it; or systemManager
}

// parseUnit finds the unit that a cgroup belongs to, by how systemd builds its
// tree: slices within slices, then the unit; below a user@UID.service the same
// once more for that user's manager.
//
//	/user.slice/user-1000.slice/session-2.scope
//	/user.slice/user-1000.slice/user@1000.service/app.slice/run-3.scope/jobs-1/j
func parseUnit(cgroup string) (unit, bool) {
	u := unit{user: systemManager}
	parts := strings.Split(strings.TrimPrefix(path.Clean(cgroup), "/"), "/")
	for i, part := range parts {
		if strings.HasSuffix(part, ".slice") {
			continue
		}
		uid, isManager := managerOf(part)
		if isManager && u.user == systemManager && i+1 < len(parts) {
			u.user = uid
			continue
		}
		// An underscore protects names that the kernel could take for files of its own.
		u.name = strings.TrimPrefix(part, "_")
		u.cgroup = "/" + strings.Join(parts[:i+1], "/")
		return u, strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope")
	}
	return unit{}, false
}

// managerOf tells a user from the name of the service that is the user's manager.
func managerOf(name string) (uid int, ok bool) {
	s, ok := strings.CutPrefix(name, "user@")
	if !ok {
		return 0, false
	}
	if s, ok = strings.CutSuffix(s, ".service"); !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// below returns a cgroup's path relative to the unit's: "" for the unit's own.
func (u unit) below(cgroup string) string {
	return strings.TrimPrefix(strings.TrimPrefix(cgroup, u.cgroup), "/")
}
