package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// isDelegated says whether systemd has handed this cgroup over, as far as its files and
// attributes show without a call to the manager. Own is the path as in /proc/self/cgroup.
func (d *dir) isDelegated(own string) bool { return d.hasDelegateAttr() || isTransientDelegated(own) }

// Managed says whether systemd manages cgroups here (sd_booted(3)). If it does, write
// permission for a cgroup does not prove that the cgroup was delegated.
func Managed() bool {
	_, err := os.Stat("/run/systemd/system")
	return !errors.Is(err, fs.ErrNotExist)
}

// hasDelegateAttr reads the attribute by which systemd marks a delegated cgroup. The system
// manager sets it, a user manager does not (systemd 257).
func (d *dir) hasDelegateAttr() bool {
	for _, attr := range []string{"trusted.delegate", "user.delegate"} {
		var v [1]byte
		if n, err := unix.Fgetxattr(d.fd, attr, v[:]); err == nil && n == 1 && v[0] == '1' {
			return true
		}
	}
	return false
}

// isTransientDelegated reads Delegate= from the file in which a manager keeps the settings
// of a transient unit (systemd-run).
func isTransientDelegated(own string) bool {
	file := transientFile(own)
	if file == "" {
		return false
	}
	b, err := readFile(file)
	return err == nil && parseDelegate(b)
}

// transientFile returns the path of that file. The user's manager keeps it for a unit below
// user@UID.service, the system's manager for the others.
func transientFile(own string) string {
	unit := path.Base(own)
	if !isUnit(unit) {
		return ""
	}
	dir := "/run/systemd/transient/"
	if _, rest, ok := strings.Cut(own, "/user@"); ok {
		uid, _, below := strings.Cut(rest, ".service/")
		if !below || uid == "" || strings.Trim(uid, "0123456789") != "" {
			return ""
		}
		dir = "/run/user/" + uid + "/systemd/transient/"
	}
	return dir + unit
}

func isUnit(name string) bool {
	return strings.HasSuffix(name, ".scope") || strings.HasSuffix(name, ".service") && !strings.HasPrefix(name, "user@")
}

// systemdMade says whether a cgroup may be one of systemd's: the root, a slice, or a unit
// directly in one of these, or in the cgroup of a user's manager. A cgroup elsewhere is
// another program's, whatever its name.
func systemdMade(own string) bool {
	isSlice := func(p string) bool { return p == "/" || strings.HasSuffix(p, ".slice") }
	in := path.Dir(own)
	return isSlice(own) || strings.HasPrefix(path.Base(own), "user@") ||
		isUnit(path.Base(own)) && (isSlice(in) || strings.HasPrefix(path.Base(in), "user@"))
}

// mayBeDelegated says whether only the manager knows if a unit is delegated: one of a
// user's manager, which marks none, that is not transient.
func mayBeDelegated(unit string) bool {
	file := transientFile(unit)
	return strings.HasPrefix(file, "/run/user/") && strings.HasSuffix(unit, ".service") && !exists(file)
}

// unitDirs is where the system's manager looks for units (systemd.unit(5)).
var unitDirs = []string{
	"/run/systemd/transient", "/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// hasSubgroup says whether the system's manager makes a sub-cgroup of this name for the main
// process of a service: DelegateSubgroup= (systemd 254) in one of its files.
func hasSubgroup(unit, sub string) bool {
	if strings.Contains(sub, "/") || strings.HasPrefix(transientFile(unit), "/run/user/") {
		return false
	}
	names := []string{path.Base(unit), "service"}
	if before, _, ok := strings.Cut(names[0], "@"); ok {
		names = append(names, before+"@.service")
	}
	for _, dir := range unitDirs {
		for _, name := range names {
			for _, file := range append(dropIns(dir+"/"+name+".d"), dir+"/"+name) {
				b, err := readFile(file)
				if err == nil && parseSubgroup(b, sub) {
					return true
				}
			}
		}
	}
	return false
}

func dropIns(dir string) (files []string) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil && strings.HasSuffix(e.Name(), ".conf") {
			files = append(files, dir+"/"+e.Name())
		}
	}
	return files
}

// parseSubgroup says whether a unit file has DelegateSubgroup= with this value.
func parseSubgroup(unit []byte, sub string) bool {
	for line := range bytes.Lines(unit) {
		v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("DelegateSubgroup="))
		if ok && sub != "" && string(bytes.TrimSpace(v)) == sub {
			return true
		}
	}
	return false
}

// endsByPID returns the name of the manager that has made a cgroup, if it ends the
// processes that are directly in the cgroup one by one, and not those below it: a job there
// would outlive what the manager ends. It is "" for others. (Slurm 22.05: the signals of
// scancel go to the processes of task_N.)
func endsByPID(own string) string {
	for part := range strings.SplitSeq(own, "/") {
		if strings.HasSuffix(part, "slurmstepd.scope") {
			return "Slurm"
		}
	}
	return ""
}

// scopeParent returns the cgroup in which systemd will make a scope for a process that is in
// own, and its slice: that of the own unit, if the manager of this user has made it; or else
// the manager's choice, "".
func scopeParent(own string) (parent, slice string) {
	manager, uid := "/", managerUID()
	if uid != 0 {
		manager = fmt.Sprintf("/user.slice/user-%d.slice/user@%d.service", uid, uid)
	}
	for p := own; strings.HasPrefix(p, manager) && len(p) > len(manager); p = path.Dir(p) {
		below := strings.TrimPrefix(p, manager)
		if strings.HasSuffix(p, ".slice") && !strings.Contains(below, "/user@") {
			return p, path.Base(p)
		}
	}
	if uid != 0 {
		return manager + "/app.slice", ""
	}
	return "/system.slice", ""
}

// managerUID returns the user whose manager makes scopes for this process, 0 for the
// system's. Root of a user namespace is an ordinary user to the manager.
func managerUID() int {
	uid := os.Geteuid()
	if uid != 0 {
		return uid
	}
	text, _ := readFile("/proc/self/uid_map")
	if f := bytes.Fields(text); len(f) >= 3 {
		uid, _ = strconv.Atoi(string(f[1]))
	}
	return uid
}

// parseDelegate finds the last Delegate= of a unit file (systemd.resource-control(5)):
// a boolean or a list of controllers, both of which may be given.
func parseDelegate(unit []byte) (delegate bool) {
	for line := range bytes.Lines(unit) {
		if v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("Delegate=")); ok {
			switch strings.ToLower(string(bytes.TrimSpace(v))) {
			case "no", "false", "off", "0", "n", "f":
				delegate = false
			default:
				delegate = true
			}
		}
	}
	return delegate
}
