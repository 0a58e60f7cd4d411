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
type Watcher struct {
	// C receives the key of a job whose cgroup.events changed. It must be read
	// until Close, which closes it.
	C    <-chan int
	file *os.File
}

// NewWatcher starts a watcher: one descriptor and one goroutine, both ended by
// Close. EMFILE: the user has no inotify instance left (128 by default).
func NewWatcher() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	c := make(chan int)
	w := &Watcher{C: c, file: os.NewFile(uintptr(fd), "inotify")} // non-blocking: parked in the runtime's poller
	go w.run(c)
	return w, nil
}

// Watch adds a job and returns its key. The watch ends with the directory.
func (w *Watcher) Watch(j *Job) (key int, err error) {
	path := "/proc/self/fd/" + strconv.Itoa(j.node.fd) + "/cgroup.events"
	conn, err := w.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctlErr := conn.Control(func(fd uintptr) {
		key, err = unix.InotifyAddWatch(int(fd), path, unix.IN_MODIFY)
	})
	if ctlErr != nil {
		return 0, ctlErr
	}
	return key, os.NewSyscallError("inotify_add_watch", err)
}

// Close ends the watcher and waits for its goroutine.
func (w *Watcher) Close() error {
	err := w.file.Close()
	for range w.C {
	}
	return err
}

// run hands on events until the descriptor is closed.
func (w *Watcher) run(c chan<- int) {
	defer close(c)
	buf := make([]byte, 4096)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		for _, key := range parseInotify(buf[:n]) {
			c <- key
		}
	}
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
