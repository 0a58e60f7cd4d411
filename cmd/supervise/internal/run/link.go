package run

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// A link is a file that owns a job by its name (--while-linked): the job ends when the
// file has no link left. A rename, or another link, keeps it. It lasts as long as the
// process.
type link struct {
	file   int // O_PATH: needs no permission to read, and keeps no link
	notify int // inotify(7), non-blocking
}

// watchLinks begins to watch a file. The kernel reports each change of the number of
// links as IN_ATTRIB (fsnotify_link_count), on this machine alone: a change that another
// machine makes on a network file system is not seen. The watch goes by the link in
// /proc/self/fd, so that it is for the very file that was opened, whatever has the name
// by now.
func watchLinks(path string) (l *link, err error) {
	l = &link{}
	if l.file, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if unix.Fstat(l.file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		unix.Close(l.file)
		return nil, errors.New("want a file, not a directory")
	}
	if l.notify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		unix.Close(l.file)
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	_, err = unix.InotifyAddWatch(l.notify, "/proc/self/fd/"+strconv.Itoa(l.file), unix.IN_ATTRIB)
	if err != nil {
		unix.Close(l.file)
		unix.Close(l.notify)
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	// The order is watch, then look, so that no change is missed.
	if l.gone() { // before we watched
		unix.Close(l.file)
		unix.Close(l.notify)
		return nil, unix.ENOENT
	}
	return l, nil
}

// gone reads what inotify reports and says whether there is no link left; a file system
// that was unmounted has none either. The count itself decides, not the event: a file
// that lost one of two links lives on.
func (l *link) gone() bool {
	var b [4096]byte
	n, _ := unix.Read(l.notify, b[:])
	for e := b[:max(n, 0)]; len(e) >= unix.SizeofInotifyEvent; e = e[unix.SizeofInotifyEvent:] { // a file's have no name
		if mask := binary.NativeEndian.Uint32(e[4:]); mask&(unix.IN_UNMOUNT|unix.IN_IGNORED) != 0 {
			return true
		}
	}
	var st unix.Stat_t
	return unix.Fstat(l.file, &st) != nil || st.Nlink == 0
}

// input has the supervisor call ended, once, when there is no link left. The loop forgets
// the input then.
func (l *link) input(ended func()) supervisor.Input {
	return supervisor.Input{FD: l.notify, Read: func() (more bool) {
		if !l.gone() {
			return true
		}
		ended()
		return false
	}}
}
