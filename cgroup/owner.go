package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// overflowUID stands for the users that a user namespace does not map (user_namespaces(7)).
const overflowUID = 65534

// checkOwners returns an error if another user could move processes within d: if that user
// owns, or may write, the directory or the cgroup.procs of d or of a cgroup above it, up to
// the mount point. Root, who may do everything, is no other user.
func (d *dir) checkOwners(point string) error {
	for p := d.path; isBelow(point, p); p = path.Dir(p) {
		for _, file := range []string{p, path.Join(p, "cgroup.procs")} {
			var st unix.Stat_t
			if err := unix.Lstat(file, &st); err != nil {
				return &os.PathError{Op: "stat", Path: file, Err: err}
			}
			if err := checkOwner(file, &st); err != nil {
				return err
			}
		}
		if p == "/" {
			break
		}
	}
	return nil
}

func checkOwner(file string, st *unix.Stat_t) error {
	switch uid, gid := int(st.Uid), int(st.Gid); {
	case uid != 0 && uid != os.Geteuid() && !(uid == overflowUID && inUserNamespace()):
		return fmt.Errorf("%s belongs to user %d, who could move processes out of the job", file, uid)
	case st.Mode&0o020 != 0 && gid != 0 && gid != os.Getegid():
		return fmt.Errorf("%s is writable for group %d, which could move processes out of the job", file, gid)
	case st.Mode&0o002 != 0:
		return fmt.Errorf("%s is writable for all users, who could move processes out of the job", file)
	}
	return nil
}

// inUserNamespace says whether users are mapped, so that those outside are not seen.
func inUserNamespace() bool {
	text, err := readFile("/proc/self/uid_map")
	f := bytes.Fields(text)
	return err == nil && (len(f) != 3 || string(f[0]) != "0" || string(f[1]) != "0" || string(f[2]) != "4294967295")
}
