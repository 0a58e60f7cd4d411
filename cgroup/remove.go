package cgroup

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// removeTree removes the named sub-cgroup and everything below it, depth first.
// A job may have left sub-cgroups, and may have taken the permissions on them away.
func (d *dir) removeTree(name string) error {
	err := d.rmdirRetry(name)
	if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	c, err := d.childForced(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := c.subdirs()
	for _, n := range names {
		err = errors.Join(err, c.removeTree(n))
	}
	c.close()
	if err != nil {
		return err
	}
	return d.rmdirRetry(name)
}

// childForced opens a sub-cgroup. If its mode forbids that, it changes the mode first.
func (d *dir) childForced(name string) (*dir, error) {
	c, err := d.child(name)
	if errors.Is(err, fs.ErrPermission) && unix.Fchmodat(d.fd, name, 0o700, 0) == nil {
		return d.child(name)
	}
	return c, err
}

// rmdirRetry removes one directory. The kernel may answer EBUSY for a while though the cgroup
// is empty: a dying process is still on its lists, or a reader is inside
// (opencontainers/cgroups retries likewise). So it tries for up to a second. It does not wait
// for a directory with sub-directories, which stays busy.
func (d *dir) rmdirRetry(name string) error {
	for wait := time.Millisecond; ; wait *= 2 {
		err := d.rmdir(name)
		if !errors.Is(err, unix.EBUSY) || wait > 512*time.Millisecond || d.hasChildren(name) {
			return err
		}
		time.Sleep(wait)
	}
}

func (d *dir) hasChildren(name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Nlink > 2
}
