package cgroup

import (
	"encoding/binary"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Watcher tells when jobs may have changed between empty and not, for any
// number of jobs with one inotify(7) descriptor. Notifications are hints: the
// kernel sends them late (by more than 10 ms for a process that lives shorter
// than that) and rarely not at all, so read Empty after Watch, after every hint,
// and after every wait.
type Watcher struct{ fd int }

// NewWatcher makes a watcher: one descriptor, to be closed. EMFILE: the user has
// no inotify instance left (128 by default).
func NewWatcher() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	return &Watcher{fd}, nil
}

// Watch adds a job and returns its key. The kernel ends the watch with the directory.
func (w *Watcher) Watch(j *Job) (key int, err error) { return w.WatchFile(j, "cgroup.events") }

// WatchFile is Watch for another file whose changes the kernel notifies, such as memory.events
// or pids.events.
func (w *Watcher) WatchFile(j *Job, file string) (key int, err error) {
	path := "/proc/self/fd/" + strconv.Itoa(j.node.fd) + "/" + file
	key, err = unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY)
	return key, os.NewSyscallError("inotify_add_watch", err)
}

// FD returns a descriptor that is readable (poll(2)) when Read has something.
func (w *Watcher) FD() int { return w.fd }

// Read returns the keys of jobs whose cgroup.events changed, without waiting.
// There may be more of them.
func (w *Watcher) Read() (keys []int) {
	buf := make([]byte, 4096)
	n, _ := unix.Read(w.fd, buf)
	return parseInotify(buf[:max(n, 0)])
}

// Close ends the watcher.
func (w *Watcher) Close() error { return unix.Close(w.fd) }

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
