package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A dir is an open cgroup directory, and the only access to its files. Every path is one
// name below the descriptor: a job cannot lead the supervisor to another file by renaming or
// linking directories. A dir owns its descriptor.
type dir struct {
	fd   int
	path string // for messages: the path in the file system at opening time

	// What a job of the same user may do to it (chmod(2)) is undone where it is in the way:
	// the directory is a session, or below one.
	forced bool

	killed bool // once: see killHeadless

	// cgroup.kill and cgroup.events, held open: what can no more be opened, for want of a
	// descriptor say, can still be ended, and seen to be empty. 0: they are not held.
	killFile, eventsFile int
	watchedFile          int // cgroup.events once more, for a Watcher; 0: it is not watched so
}

// openDir opens the cgroup at an absolute path and checks that it is one.
func openDir(path string) (*dir, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := &dir{fd: fd, path: path}
	if err := d.verify(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// isReadOnly says whether the file system is mounted so, as in most containers.
func (d *dir) isReadOnly() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(d.fd, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

func (d *dir) verify() error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return d.fail("statfs", "", err)
	}
	if st.Type != unix.CGROUP2_SUPER_MAGIC {
		return fmt.Errorf("%s is not a cgroup v2 directory", d.path)
	}
	return nil
}

// close closes the descriptor; a second time it does nothing.
func (d *dir) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
		d.fd = -1
	}
	for _, fd := range []*int{&d.killFile, &d.eventsFile, &d.watchedFile} {
		if *fd > 0 {
			unix.Close(*fd)
			*fd = 0
		}
	}
}

// hold opens cgroup.kill, where the kernel has it, and cgroup.events, and keeps them open.
func (d *dir) hold() (err error) {
	if d.killFile, err = d.open("cgroup.kill", unix.O_WRONLY); errors.Is(err, fs.ErrNotExist) {
		d.killFile, err = 0, nil // before Linux 5.14
	}
	if err == nil {
		d.eventsFile, err = d.open("cgroup.events", unix.O_RDONLY)
	}
	return err
}

// fail names operation and path, as fs.PathError does.
func (d *dir) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: d.join(name), Err: err}
}

func (d *dir) join(name string) string {
	if name == "" {
		return d.path
	}
	return d.path + "/" + name
}

// open opens one file or child directory. openat2(2) (Linux 5.6) confines the
// look-up; where a seccomp filter does not know it, O_NOFOLLOW on a plain name
// gives the same.
func (d *dir) open(name string, flags int) (int, error) {
	fd, err := d.tryOpen(name, flags)
	if err == unix.EACCES && d.unlock(name) {
		fd, err = d.tryOpen(name, flags)
	}
	if err != nil {
		return -1, d.fail("open", name, err)
	}
	return fd, nil
}

// unlock sets back the modes of a directory, if that is forced, and of a file or sub-cgroup in
// it. It says whether another try may help.
func (d *dir) unlock(name string) bool {
	if !d.forced {
		return false
	}
	unix.Fchmod(d.fd, 0o755)
	return unix.Fchmodat(d.fd, name, 0o755, 0) == nil
}

// reenter gives its owner back what that has taken from itself: a job of ours may have locked the
// root, which is no directory of ours, against us. It says whether another try may help.
func (d *dir) reenter() bool {
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) != nil || st.Mode&0o700 == 0o700 || int(st.Uid) != unix.Geteuid() {
		return false
	}
	return unix.Fchmod(d.fd, st.Mode&0o7777|0o700) == nil
}

func (d *dir) tryOpen(name string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	for {
		fd, err := unix.Openat2(d.fd, name, &how)
		if err == unix.ENOSYS || err == unix.EPERM {
			fd, err = unix.Openat(d.fd, name, flags, 0)
		}
		if err == unix.EINTR || err == unix.EAGAIN { // openat2: a rename raced with "..", try again
			continue
		}
		return fd, err
	}
}

// child opens a sub-cgroup.
func (d *dir) child(name string) (*dir, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return &dir{fd: fd, path: d.join(name), forced: d.forced}, nil
}

// childForced opens a sub-cgroup that is a session, or in one. If its mode forbids that, it
// sets the mode back first.
func (d *dir) childForced(name string) (*dir, error) {
	c, err := d.child(name)
	if errors.Is(err, fs.ErrPermission) && unix.Fchmodat(d.fd, name, 0o755, 0) == nil {
		c, err = d.child(name)
	}
	if err == nil {
		c.forced = true
	}
	return c, err
}

// mkdir creates a sub-cgroup and opens it.
func (d *dir) mkdir(name string) (*dir, error) {
	err := unix.Mkdirat(d.fd, name, 0o755)
	if err == unix.EACCES && d.unlock(".") {
		err = unix.Mkdirat(d.fd, name, 0o755)
	}
	if err != nil {
		return nil, d.fail("mkdir", name, err)
	}
	c, err := d.child(name)
	if err != nil {
		unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	}
	return c, err
}

// rmdir removes a sub-cgroup; one that is not there is no error.
func (d *dir) rmdir(name string) error {
	err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	if err == unix.EACCES && (d.unlock(".") || d.reenter()) {
		err = unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	}
	if err != nil && err != unix.ENOENT {
		return d.fail("rmdir", name, err)
	}
	return nil
}

// read returns a whole file.
func (d *dir) read(name string) ([]byte, error) {
	fd, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b, err := readAll(fd)
	if err != nil {
		return nil, d.fail("read", name, err)
	}
	return b, nil
}

// readAll reads a kernel file from its start to its end. The kernel may return it in several
// pieces.
func readAll(fd int) ([]byte, error) {
	b := make([]byte, 0, 2048)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Pread(fd, b[len(b):cap(b)], int64(len(b)))
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return b, err
		}
		b = b[:len(b)+n]
	}
}

// readFile is os.ReadFile for a file of proc(5). It does not set up Go's poller, whose cost
// counts in a short-lived program.
func readFile(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	b, err := readAll(fd)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// write writes a value to a file in one write(2), as cgroup files want it.
func (d *dir) write(name, value string) error {
	fd, err := d.open(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return d.writeTo(fd, name, value)
}

// writeTo is write for a file that is open.
func (d *dir) writeTo(fd int, name, value string) error {
	for {
		_, err := unix.Write(fd, []byte(value))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return d.fail(fmt.Sprintf("write %q to", value), name, err)
		}
	}
}

// keyed returns one value of a flat-keyed file such as cgroup.events or cpu.stat.
func (d *dir) keyed(name, key string) (uint64, error) {
	fd, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return d.keyedIn(fd, name, key)
}

// keyedIn is keyed for a file that is open.
func (d *dir) keyedIn(fd int, name, key string) (uint64, error) {
	buf := takeBuffer()
	defer func() { giveBuffer(buf) }()
	b, err := readInto(fd, &buf)
	if err != nil {
		return 0, d.fail("read", name, err)
	}
	v, ok := lookup(b, key)
	if !ok {
		return 0, fmt.Errorf("%s has no %q: %w", d.join(name), key, errors.ErrUnsupported)
	}
	return v, nil
}

// lookup finds "key value" among lines.
func lookup(b []byte, key string) (uint64, bool) {
	for line := range bytes.Lines(b) {
		k, v, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if string(k) == key {
			n, err := strconv.ParseUint(string(v), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// countSubdirs returns how many sub-cgroups there are: kernfs has them in the link count. -1: that is not known.
func (d *dir) countSubdirs() int {
	var st unix.Stat_t
	if unix.Fstat(d.fd, &st) != nil {
		return -1
	}
	return int(st.Nlink) - 2
}

// subdirs lists the names of the sub-cgroups.
func (d *dir) subdirs() ([]string, error) {
	if d.countSubdirs() == 0 {
		return nil, nil
	}
	fd, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY) // a descriptor of its own has an offset of its own
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
