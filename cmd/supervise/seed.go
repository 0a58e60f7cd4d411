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
	h := adoptChildren()
	s := &supervisor.Supervisor{
		Owner:   &supervisor.Owner{In: 0, Out: 1},
		Signals: caught,
		Sweep:   h.tree.Kill, Watch: h.watch, Idle: giveBackStartUp,
	}
	s.Start(supervisor.Spec{Containment: h}) // cannot fail: there is no process to start
	result := s.Run()[0]
	if result.Err != nil {
		complain(result.Err)
		return exitRubbish
	}
	return 0
}

// adoptChildren moves all there is below us into a job. Where that cannot be, it
// stays where it is, in the fallback: the owner has no flag to be told by.
func adoptChildren() *hold {
	h, err := takeHold("", "job")
	if err != nil {
		h = fallback(err.Error())
	} else if err = h.adopt(); err != nil {
		h.giveUp(err)
	}
	if h.session == nil {
		h.guardMarked() // if that cannot be either, the job is as safe as with our predecessor
	}
	return h
}

func (h *hold) adopt() error {
	if err := h.guard(); err != nil {
		return err
	}
	if err := h.job.Adopt(h.tree.Each); err != nil {
		return err
	}
	h.session.RemoveStale()
	return nil
}
