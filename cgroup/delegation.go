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

// isDelegated says whether systemd has handed this cgroup over, as far as that can
// be known without asking it. Own is the path that /proc/self/cgroup would have.
func (d *dir) isDelegated(own string) bool { return d.hasDelegateAttr() || isTransientDelegated(own) }

// Managed says whether systemd manages cgroups here (sd_booted(3)): then being able
// to write to one proves nothing.
func Managed() bool {
	_, err := os.Stat("/run/systemd/system")
	return !errors.Is(err, fs.ErrNotExist)
}

// hasDelegateAttr looks for the attribute in which systemd says it: the system
// manager does, a user manager does not (systemd 257).
func (d *dir) hasDelegateAttr() bool {
	for _, attr := range []string{"trusted.delegate", "user.delegate"} {
		var v [1]byte
		if n, err := unix.Fgetxattr(d.fd, attr, v[:]); err == nil && n == 1 && v[0] == '1' {
			return true
		}
	}
	return false
}

// isTransientDelegated reads the file in which a manager keeps the settings of a
// transient unit (systemd-run), for that of the unit we are in.
func isTransientDelegated(own string) bool {
	file := transientFile(own)
	if file == "" {
		return false
	}
	b, err := readFile(file)
	return err == nil && parseDelegate(b)
}

// transientFile returns the path of that file: of a unit below user@UID.service the
// user's manager keeps it, of others the system's.
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

// unitAbove returns the path of the unit that a cgroup is below, "" if it is none's,
// or the unit's own: with DelegateSubgroup=, or where somebody made sub-cgroups.
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
