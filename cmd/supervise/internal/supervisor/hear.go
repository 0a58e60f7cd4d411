package supervisor

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// readSignals takes the signals that were sent to this process. A stop by the service manager
// is SIGTERM and then SIGCONT to each process of the unit. Two threads of this process may
// take one each, and the second one be faster; but SIGTERM, which says why the job ends, is to
// be heard before its end is.
func (s *Supervisor) readSignals() {
	if s.Signals == nil {
		return
	}
	list := s.Signals.Read()
	if s.stopBegins(list) {
		fds := []unix.PollFd{{Fd: int32(s.Signals.FD()), Events: unix.POLLIN}}
		for _, err := unix.Poll(fds, stopWithin); err == unix.EINTR; _, err = unix.Poll(fds, stopWithin) {
		}
		list = append(list, s.Signals.Read()...)
	}
	for _, sig := range stopFirst(list) {
		s.signal(sig)
	}
}

// stopWithin is how far apart the two signals may arrive, in milliseconds.
const stopWithin = 200

// stopBegins says whether the second of the two is there, and not the first.
func (s *Supervisor) stopBegins(list []signals.Signal) bool {
	if s.IsManager == nil || slices.ContainsFunc(list, isTerm) || !s.anyRuns() {
		return false
	}
	return slices.ContainsFunc(list, func(sig signals.Signal) bool {
		return sig.Signal == unix.SIGCONT && sig.From > 0 && s.IsManager(sig.From)
	})
}

func isTerm(sig signals.Signal) bool { return sig.Signal == unix.SIGTERM }

// stopFirst puts SIGTERM before the rest.
func stopFirst(list []signals.Signal) []signals.Signal {
	slices.SortStableFunc(list, func(a, b signals.Signal) int {
		switch {
		case isTerm(a) == isTerm(b):
			return 0
		case isTerm(a):
			return -1
		}
		return 1
	})
	return list
}
