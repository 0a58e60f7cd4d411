package main

import (
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/subreaper"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
)

// seed is supervise without arguments: the binary protocol on descriptors 0 and
// 1. The job is the children that exist already, and all they start.
func seed() int {
	caught, err := signals.Catch(fatalSignals)
	if err != nil {
		complain(err)
		return exitFailure
	}
	if err := subreaper.Become(); err != nil {
		complain(err)
		return exitFailure
	}
	h := fallback("")
	s := &supervisor.Supervisor{
		Owner:   &supervisor.Owner{In: 0, Out: 1},
		Signals: arriving{caught},
		Sweep:   h.tree.Kill, Watch: h.watch, Idle: giveBackStartUp,
	}
	(&move{s: s, h: h}).begin()
	h.tree.Reap = s.CollectDead              // not before: an owner that hears of an end may think that we are there
	s.Start(supervisor.Spec{Containment: h}) // cannot fail: there is no process to start
	result := s.Run()[0]
	if result.Err != nil {
		complain(result.Err)
		return exitRubbish
	}
	return 0
}
