package serve

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A timer calls functions at times. It is one descriptor for all of them (timerfd_create(2)),
// made when it is first needed.
type timer struct {
	v      *server
	fd     int // 0: not made yet
	alarms []*alarm
}

// An alarm is a function that is called at a time, or a little later, unless it is canceled.
type alarm struct {
	at   time.Time
	call func()
}

// after has a function called.
func (t *timer) after(d time.Duration, call func()) (*alarm, error) {
	if err := t.open(); err != nil {
		return nil, err
	}
	a := &alarm{time.Now().Add(d), call}
	i, _ := slices.BinarySearchFunc(t.alarms, a, func(b, c *alarm) int { return b.at.Compare(c.at) })
	t.alarms = slices.Insert(t.alarms, i, a)
	t.set()
	return a, nil
}

// cancel takes an alarm back; one that was called is none any more, and nil is none.
func (t *timer) cancel(a *alarm) {
	if a == nil {
		return
	}
	if i := slices.Index(t.alarms, a); i >= 0 {
		t.alarms = slices.Delete(t.alarms, i, i+1)
		t.set()
	}
}

// open makes the descriptor, once.
func (t *timer) open() error {
	if t.fd != 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := t.v.poller.Watch(fd, unix.EPOLLIN, func(uint32) { t.ring() }); err != nil {
		unix.Close(fd)
		return err
	}
	t.fd = fd
	return nil
}

// set sets the kernel's timer to the first alarm; without one it is stopped.
func (t *timer) set() {
	var s unix.ItimerSpec
	if len(t.alarms) > 0 {
		s.Value = unix.NsecToTimespec(max(1, time.Until(t.alarms[0].at).Nanoseconds()))
	}
	unix.TimerfdSettime(t.fd, 0, &s, nil)
}

// ring calls what is due.
func (t *timer) ring() {
	var expirations [8]byte
	unix.Read(t.fd, expirations[:])
	for len(t.alarms) > 0 && !time.Now().Before(t.alarms[0].at) {
		first := t.alarms[0]
		t.alarms = slices.Delete(t.alarms, 0, 1)
		first.call()
	}
	t.set()
}
