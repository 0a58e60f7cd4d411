package supervisor

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/protocol"
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

// Relay treats a signal that was sent to another process of ours, which stands for this
// one, as sent to this process. SIGKILL, by which that process has ended, ends all jobs.
// What was sent to both, as systemd does with the main process of a service, counts once.
func (s *Supervisor) Relay(sig signals.Signal) {
	if s.halves.second(sig, true) {
		return
	}
	if sig.Signal == unix.SIGKILL && s.Tell == nil {
		s.traceSignal("signal", sig.From, sig.Signal)
		s.End(protocol.CauseKilled, nil)
		return
	}
	s.handle(sig)
}

// signal handles a signal that was sent to this process.
func (s *Supervisor) signal(sig signals.Signal) {
	if isTerm(sig) && s.Stopped != nil && s.IsManager != nil && s.IsManager(sig.From) {
		s.Stopped()
	}
	if !s.halves.second(sig, false) {
		s.handle(sig)
	}
}

// handle handles a signal that was sent to us. If signals end all jobs, one that
// comes when all have ended means not to wait for a silent owner either.
func (s *Supervisor) handle(sig signals.Signal) {
	s.traceSignal("signal", sig.From, sig.Signal)
	if raisedByUs(sig) || sig.Held && !s.Forward {
		return
	}
	if s.Tell != nil {
		s.Tell(Event{Kind: SignalArrived, Signal: sig})
		return
	}
	if !s.Forward {
		if s.alive == 0 {
			s.deafen()
		}
		s.End(protocol.CauseKilled, nil)
		return
	}
	if s.Heard != nil {
		s.Heard(sig)
	}
	for _, j := range s.jobs {
		if !j.stoppedBy(sig) {
			s.reap() // a signal for a process that is a zombie already would be lost
			j.forward(sig)
		}
	}
}

// raisedByUs says whether a signal tells of a limit or a filter that this process itself
// has met (setrlimit(2), seccomp(2)): a sample that does not fit into its file raises
// SIGXFSZ, with this process as the sender. It means nothing to the job, which has the
// same limits and meets them itself.
func raisedByUs(s signals.Signal) bool {
	switch s.Signal {
	case unix.SIGXFSZ, unix.SIGXCPU, unix.SIGSYS:
		return s.From == 0 || s.From == os.Getpid()
	}
	return false
}
