package cgroup

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
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

// unitAbove returns the path of the unit that a cgroup is below: with DelegateSubgroup=, or
// where another program made sub-cgroups. It is "" for a unit's own cgroup, and outside
// units.
func unitAbove(own string) string {
	for p := path.Dir(own); strings.HasPrefix(p, "/") && len(p) > 1; p = path.Dir(p) {
		if isUnit(path.Base(p)) {
			return p
		}
	}
	return ""
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
