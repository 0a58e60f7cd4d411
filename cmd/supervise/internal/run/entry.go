package run

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/record"
)

// An entry is a name in a directory that is held open: from the check to the last write
// it is the same directory, wherever its path leads by then.
//
// In a directory that another user may write, that user decides what has the name. There
// a symbolic link or a device is refused, and a regular file is replaced by a new one
// instead of being truncated, for it may be another link to any file of the machine
// (where fs.protected_hardlinks is 0).
type entry struct {
	dir    int    // O_PATH, the entry's
	name   string // without a slash
	shared bool   // another user may write the directory
	sticky bool   // as /tmp
	owner  uint32 // of the directory
	kind   uint32 // S_IFMT of what has the name; 0: nothing
	uid    uint32 // of what has the name
}

// findEntry opens the directory of a path that begins at a directory; the caller closes
// the entry.
func findEntry(at int, file string) (*entry, error) {
	dir, name := path.Split(file)
	if name == "" || name == "." || name == ".." {
		return nil, unix.EISDIR
	}
	if dir == "" {
		dir = "."
	}
	fd, err := openDir(at, dir)
	if err != nil {
		return nil, err
	}
	e := &entry{dir: fd, name: name}
	if err := e.look(); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// close closes the directory.
func (e *entry) close() { unix.Close(e.dir) }

// look sees to whom the directory belongs and what has the name. The group of root's own
// directory may be syslog, say; that of an ordinary user's is taken for friends.
func (e *entry) look() error {
	var dir, st unix.Stat_t
	if err := unix.Fstat(e.dir, &dir); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	e.owner, e.sticky = dir.Uid, dir.Mode&unix.S_ISVTX != 0
	e.shared = !trusted(dir.Uid) || dir.Mode&0o002 != 0 || dir.Mode&0o020 != 0 && os.Geteuid() == 0
	err := unix.Fstatat(e.dir, e.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return nil
	}
	e.kind, e.uid = st.Mode&unix.S_IFMT, st.Uid
	return err
}

// replaceable says why no new file may be put in the entry's place; nil: it may.
func (e *entry) replaceable() error {
	switch {
	case e.kind == 0:
		return nil
	case e.kind == unix.S_IFDIR:
		return unix.EISDIR
	case e.kind != unix.S_IFREG:
		return errors.New("is there already, and no regular file; fd:N writes to anything")
	case e.shared && e.sticky && int(e.uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d, in a directory where others may write", e.uid)
	}
	return nil
}

// put puts a file with that content in the entry's place, whole or not at all. The
// temporary name cannot be foreseen; O_EXCL follows no symbolic link. ENOENT says that
// the directory is gone.
func (e *entry) put(b []byte) error {
	tmp := fmt.Sprintf(".supervise-%016x", rand.Uint64())
	// Not os.CreateTemp, which sets up Go's poller for the file.
	fd, err := unix.Openat(e.dir, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o666)
	if err == unix.ENOENT {
		return err
	}
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	if err = errors.Join(record.WriteAll(fd, b), unix.Close(fd)); err == nil {
		err = os.NewSyscallError("rename", unix.Renameat(e.dir, tmp, e.dir, e.name))
	}
	if err != nil {
		unix.Unlinkat(e.dir, tmp, 0)
	}
	return err
}

// toWrite are the flags of a file that is written while the job runs. O_NONBLOCK is for a
// FIFO: without a reader to open it is ENXIO, instead of a wait (fifo(7)).
const toWrite = unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

// open opens what has the name, truncated, or makes a file.
func (e *entry) open() (int, error) {
	switch {
	case !e.shared && e.kind == unix.S_IFLNK:
		return e.follow()
	case !e.shared:
		return unix.Openat(e.dir, e.name, toWrite|unix.O_NOFOLLOW|unix.O_CREAT|unix.O_TRUNC, 0o666)
	case e.kind == unix.S_IFIFO:
		return e.openFIFO()
	}
	if err := e.replaceable(); err != nil {
		return -1, err
	}
	if e.kind != 0 {
		if err := unix.Unlinkat(e.dir, e.name, 0); err != nil && err != unix.ENOENT {
			return -1, os.NewSyscallError("unlink", err)
		}
	}
	return unix.Openat(e.dir, e.name, toWrite|unix.O_NOFOLLOW|unix.O_CREAT|unix.O_EXCL, 0o666)
}

// openFIFO opens a FIFO in a directory that another user may write, by the rule of
// fs.protected_fifos: it is the caller's own, or its owner is the directory's.
func (e *entry) openFIFO() (int, error) {
	fd, err := unix.Openat(e.dir, e.name, toWrite|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFIFO || int(st.Uid) != os.Geteuid() && st.Uid != e.owner) {
		err = fmt.Errorf("is a FIFO of user %d, in a directory where others may write; fd:N writes to anything", st.Uid)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// follow opens what a symbolic link in a directory of our own leads to. For root each
// step is checked as the first one was. The links of /proc/PID/fd are no paths: the
// kernel alone can follow them.
func (e *entry) follow() (int, error) {
	at, name := e.dir, e.name
	for range maxLinks {
		if os.Geteuid() != 0 || inProc(at) {
			return unix.Openat(at, name, toWrite|unix.O_CREAT|unix.O_TRUNC, 0o666)
		}
		text, uid, err := readLink(at, name)
		if err != nil {
			return -1, err
		}
		if !trusted(uid) {
			return -1, fmt.Errorf("is a symbolic link of user %d", uid)
		}
		next, err := findEntry(at, text)
		if err != nil {
			return -1, err
		}
		defer next.close()
		if next.shared || next.kind != unix.S_IFLNK {
			return next.open()
		}
		at, name = next.dir, next.name
	}
	return -1, unix.ELOOP
}
