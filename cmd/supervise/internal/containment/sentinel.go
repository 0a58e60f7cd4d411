package containment

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/guardian"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// postSentinel starts a sentinel in the own cgroup, which is about to be left. It hands on
// what a supervise may catch; what this process ignores is ignored there too.
func postSentinel() (*guardian.Sentinel, error) {
	return guardian.Post(handedOn())
}

// handedOn are the signals that a twin hands on.
func handedOn() []unix.Signal {
	return slices.DeleteFunc(slices.Clone(signals.Forwarded), signals.Ignored)
}

// station makes a sentinel part of the place.
func (p *Place) station(s *guardian.Sentinel) {
	p.sentinel = s
	p.Tree.Spare = append(p.Tree.Spare, s.PID())
}

// Post starts a sentinel in the own cgroup, for a caller that has supervise-scope move this
// process; see joinScope.
func (p *Place) Post(s *supervisor.Supervisor) error {
	sentinel, err := postSentinel()
	if err == nil {
		p.station(sentinel)
		s.Inputs = append(s.Inputs, p.sentinelInput(s))
	}
	return err
}

// relieve ends the sentinel, if there is one.
func (p *Place) relieve() {
	if p.sentinel != nil {
		p.sentinel.Dismiss()
		p.spareNoMore(p.sentinel.PID())
		p.sentinel = nil
	}
}

func (p *Place) spareNoMore(pid int) {
	p.Tree.Spare = slices.DeleteFunc(p.Tree.Spare, func(one int) bool { return one == pid })
}

// sentinelInput has the loop treat what is sent to the sentinel as sent to this process.
func (p *Place) sentinelInput(s *supervisor.Supervisor) supervisor.Input {
	return supervisor.Input{FD: p.sentinel.FD(), Read: func() bool {
		if p.sentinel == nil {
			return false // the place is closed
		}
		sig, from := p.sentinel.Read()
		if sig != 0 && (s.Forward || sig == unix.SIGKILL || slices.Contains(signals.Fatal, sig)) {
			s.Relay(signals.Signal{Signal: sig, From: from})
		}
		return sig != unix.SIGKILL
	}}
}
