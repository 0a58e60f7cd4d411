package run

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links the kernel follows in one path (path_resolution(7)).
const maxLinks = 40

const toDirectory = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

// openDir opens a directory by a path that begins at another. Root is not led by a
// symbolic link of another user into a directory which that user may not write. Paths
// without any symbolic link are left to the kernel (openat2(2), Linux 5.6; ELOOP: there is
// one; ENOSYS or EPERM: an older kernel, or a sandbox that does not know the call).
func openDir(at int, dir string) (int, error) {
	if os.Geteuid() != 0 {
		return unix.Openat(at, dir, toDirectory, 0)
	}
	fd, err := unix.Openat2(at, dir, &unix.OpenHow{Flags: toDirectory, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err == unix.ELOOP || err == unix.ENOSYS || err == unix.EPERM {
		w := walk{at: -1}
		if fd, err = w.to(at, dir); err != nil {
			unix.Close(w.at)
			return -1, err
		}
	}
	return fd, err
}

// A walk goes along a path, one name after the other.
type walk struct {
	at    int      // the directory that was reached
	links int      // followed so far
	led   []uint32 // other users, by whose symbolic links the walk went
}

// to returns the directory at the end of the path, which becomes the caller's.
func (w *walk) to(at int, rest string) (int, error) {
	begin := "."
	if strings.HasPrefix(rest, "/") {
		begin = "/"
	}
	if err := w.enter(at, begin); err != nil {
		return -1, err
	}
	for {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return w.at, w.allowed()
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		// O_DIRECTORY has an automounter mount the directory. ENOTDIR: it may be a
		// symbolic link.
		err := w.enter(w.at, name)
		if err == unix.ENOTDIR || err == unix.ELOOP {
			rest, err = w.follow(name, rest)
		}
		if err != nil {
			return -1, err
		}
	}
}

// enter goes to a directory, not through a symbolic link.
func (w *walk) enter(at int, name string) error {
	fd, err := unix.Openat(at, name, toDirectory|unix.O_NOFOLLOW, 0)
	if err == nil {
		unix.Close(w.at)
		w.at = fd
	}
	return err
}

// follow returns the rest of the path behind a symbolic link. The link's user is led by,
// or else the directory's, to whom it may be no more than a second link.
func (w *walk) follow(name, rest string) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", unix.ELOOP
	}
	text, uid, err := readLink(w.at, name)
	if err != nil {
		return "", err
	}
	var dir unix.Stat_t
	if err := unix.Fstat(w.at, &dir); err != nil {
		return "", os.NewSyscallError("fstat", err)
	}
	if !trusted(uid) {
		w.led = append(w.led, uid)
	} else if !trusted(dir.Uid) {
		w.led = append(w.led, dir.Uid)
	}
	if inProc(w.at) { // cwd, say, is no path
		fd, err := unix.Openat(w.at, name, toDirectory, 0)
		if err == nil {
			unix.Close(w.at)
			w.at = fd
		}
		return rest, err
	}
	if strings.HasPrefix(text, "/") {
		err = w.enter(unix.AT_FDCWD, "/")
	}
	return text + "/" + rest, err
}

// allowed says whether those by whose links the walk went may write the directory at its
// end themselves.
func (w *walk) allowed() error {
	var st unix.Stat_t
	if err := unix.Fstat(w.at, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	for _, uid := range w.led {
		if st.Uid != uid && st.Mode&0o002 == 0 {
			return fmt.Errorf("a symbolic link of user %d leads into a directory of user %d", uid, st.Uid)
		}
	}
	return nil
}

// readLink returns the text of a symbolic link and its owner; ENOTDIR: it is none.
func readLink(at int, name string) (text string, uid uint32, err error) {
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", 0, os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", 0, unix.ENOTDIR
	}
	var b [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", b[:]) // "": the link itself (open(2), O_PATH)
	return string(b[:max(n, 0)]), st.Uid, err
}

// inProc says whether a directory is in a proc file system.
func inProc(dir int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(dir, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

// overflowUID is what a file's owner looks like who has no number in the user namespace
// (user_namespaces(7)).
const overflowUID = 65534

// trusted says whether what belongs to a user is safe from all but ourselves and root. In
// a user namespace the machine's root is without a number.
func trusted(uid uint32) bool {
	return uid == 0 || int(uid) == os.Geteuid() || uid == overflowUID && inUserNamespace()
}

// inUserNamespace says whether some users have no number here.
func inUserNamespace() bool {
	fd, err := unix.Open("/proc/self/uid_map", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var b [256]byte
	n, _ := unix.Read(fd, b[:])
	f := strings.Fields(string(b[:max(n, 0)]))
	return len(f) != 3 || f[2] != "4294967295"
}
