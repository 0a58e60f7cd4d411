package cgroup

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// lockedByDirectory is the version of sessions of which the directory alone is locked, which
// everybody may lock who may read it.
const lockedByDirectory = "1"

// lock locks a new session for as long as it is open (flock(2)): by cgroup.kill, which other
// users cannot open, and by the directory, for the guardian, and for a supervise of version 1.
func (d *dir) lock() error {
	if err := unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return d.fail("flock", "", err)
	}
	if err := d.hold(); err != nil || d.killFile == 0 {
		return err
	}
	if err := unix.Flock(d.killFile, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return d.fail("flock", "cgroup.kill", err)
	}
	return nil
}

// isLocked says whether a supervisor has the session locked, and else locks it.
func (d *dir) isLocked(byDirectory bool) bool {
	if err := d.hold(); err != nil {
		return true // not known
	}
	if d.killFile == 0 {
		byDirectory = true
	} else if d.isLockedFile(d.killFile) {
		return true
	}
	return byDirectory && d.isLockedFile(d.fd)
}

// isLockedFile says whether another process than those in the session, which are no
// supervisor, has the file locked, and else locks it.
func (d *dir) isLockedFile(fd int) bool {
	return !tryLock(fd) && !d.holdsLockers(fd)
}

func tryLock(fd int) bool { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil }

// holdsLockers says whether all processes that have locked a file are known, and are in d.
func (d *dir) holdsLockers(fd int) bool {
	var st unix.Stat_t
	locks, err := readFile("/proc/locks")
	if err != nil || unix.Fstat(fd, &st) != nil {
		return false
	}
	inside, err := procPath(d.path)
	if err != nil {
		return false
	}
	pids := lockers(locks, &st)
	return len(pids) > 0 && len(Outside(inside, pids)) == 0
}

// lockers returns the processes that have locked a file, from the text of /proc/locks.
//
// A locker outside of our PID namespace is not listed there. One that has ended is, in the first
// PID namespace alone.
func lockers(text []byte, st *unix.Stat_t) (pids []int) {
	for _, l := range proc.ParseLocks(text) {
		if l.Kind == "FLOCK" && l.File == fileOf(st) {
			pids = append(pids, l.PID)
		}
	}
	return pids
}

// fileOf is a file as /proc/locks names it.
func fileOf(st *unix.Stat_t) string {
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
}
