// Package binary is supervise without arguments: the seed's binary protocol on
// descriptors 0 and 1 (see package protocol for its bytes). The job is the children that
// exist already, and all that they start.
package binary

import (
	"errors"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/resident"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/transient"
)

// Main speaks the protocol until nothing of the job is left. It returns the exit status.
func Main(p *cli.Program) int {
	err := subreaper.Become()
	var caught *signals.Caught
	if err == nil {
		caught, err = signals.Catch(signals.Fatal)
	}
	if err != nil {
		subreaper.Abandon() // the children exist, and nothing is to outlive us
		p.Complain(err)
		return cli.ExitFailure
	}
	place := containment.Fallback("")
	s := &supervisor.Supervisor{
		Owner:   &supervisor.Owner{In: 0, Out: 1},
		Signals: caught, IsManager: transient.IsManager, Idle: resident.GiveBackStartUp,
	}
	place.Connect(s)
	reap := place.Tree.Reap
	place.Tree.Reap = nil // not before all is set up: an owner that hears of an end may think that supervise is there
	(&move{program: p, s: s, place: place}).begin()
	place.Tree.Reap = reap
	s.Start(supervisor.Spec{Containment: place}) // cannot fail: there is no process to start
	if record := s.Run()[0]; record.Error != nil {
		p.Complain(errors.New(*record.Error))
		return cli.ExitFailed
	}
	return 0
}
