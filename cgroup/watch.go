package cgroup

import (
	"encoding/binary"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Watcher tells when jobs may have changed between empty and not, for any
// number of jobs with one descriptor. Notifications are hints: the
// kernel sends them late (by more than 10 ms for a process that lives shorter
// than that) and rarely not at all, so read Empty after Watch, after every hint,
// and after every wait.
//
// A job that keeps files open is polled by epoll(7), for POLLPRI (the kernel's cgroup-v2.rst,
// "[Un]populated Notification"). Another one, and any other file, is watched by inotify(7), which
// opens nothing for each, but whose first close waits for a grace period of the kernel
// (fsnotify_destroy_group): 13 ms on Linux 6.18.
type Watcher struct {
	epoll   int
	inotify int // -1: not needed yet
}

// NewWatcher makes a watcher: one descriptor, or two, to be closed.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &Watcher{fd, -1}, nil
}

// Watch adds a job and returns its key, which is not 0. The kernel ends the watch with the
// directory.
func (w *Watcher) Watch(j *Job) (key int, err error) {
	if j.node.eventsFile > 0 && w.watchEvents(j.node) == nil {
		return -j.node.watchedFile, nil
	}
	return w.WatchFile(j, "cgroup.events")
}

// watchEvents polls a cgroup.events that nothing reads: to read a file takes back what its poll
// would tell (kernfs_generic_poll).
func (w *Watcher) watchEvents(d *dir) error {
	if d.watchedFile > 0 {
		return fs.ErrExist
	}
	fd, err := d.open("cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	if err := w.poll(fd, unix.EPOLLPRI|unix.EPOLLET); err != nil {
		unix.Close(fd)
		return err
	}
	d.watchedFile = fd
	return nil
}

// WatchFile is Watch for another file whose changes the kernel notifies, such as memory.events
// or pids.events. EMFILE: the user has no inotify instance left (128 by default).
func (w *Watcher) WatchFile(j *Job, file string) (key int, err error) {
	if err := w.openInotify(); err != nil {
		return 0, err
	}
	path := "/proc/self/fd/" + strconv.Itoa(j.node.fd) + "/" + file
	key, err = unix.InotifyAddWatch(w.inotify, path, unix.IN_MODIFY)
	return key, os.NewSyscallError("inotify_add_watch", err)
}

func (w *Watcher) openInotify() error {
	if w.inotify >= 0 {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	if err := w.poll(fd, unix.EPOLLIN); err != nil {
		unix.Close(fd)
		return err
	}
	w.inotify = fd
	return nil
}

func (w *Watcher) poll(fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &event))
}

// FD returns a descriptor that is readable (poll(2)) when Read has something.
func (w *Watcher) FD() int { return w.epoll }

// Read returns the keys of jobs whose cgroup.events changed, without waiting.
// There may be more of them.
func (w *Watcher) Read() (keys []int) {
	var events [64]unix.EpollEvent
	n, _ := unix.EpollWait(w.epoll, events[:], 0)
	for _, e := range events[:max(n, 0)] {
		if int(e.Fd) == w.inotify {
			keys = append(keys, readInotify(w.inotify)...)
		} else {
			keys = append(keys, -int(e.Fd))
		}
	}
	return keys
}

// Close ends the watcher.
func (w *Watcher) Close() error {
	if w.inotify >= 0 {
		unix.Close(w.inotify)
	}
	return unix.Close(w.epoll)
}

func readInotify(fd int) (keys []int) {
	buf := make([]byte, 4096)
	n, _ := unix.Read(fd, buf)
	return parseInotify(buf[:max(n, 0)])
}

// parseInotify takes the watch descriptors of the modifications out of a buffer
// of struct inotify_event (inotify(7)):
//
//	offset 0 int32 wd, 4 uint32 mask, 8 uint32 cookie, 12 uint32 len, 16 name[len]
func parseInotify(b []byte) (keys []int) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := uint64(unix.SizeofInotifyEvent) + uint64(binary.NativeEndian.Uint32(b[12:]))
		if mask&unix.IN_MODIFY != 0 {
			keys = append(keys, int(wd))
		}
		b = b[min(size, uint64(len(b))):]
	}
	return keys
}
