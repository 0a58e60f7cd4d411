package main

import (
	"errors"
	"fmt"
	"time"
)

// settle lets a runtime finish what it does once after a start.
const settle = time.Second

// mode is a way to run supervise while a sleep sleeps.
type mode struct {
	name  string
	start func() (*specimen, error)
}

func (b *bench) modes() []mode {
	run := func(flags ...string) func() (*specimen, error) {
		return func() (*specimen, error) { return b.spawnSleep(flags...) }
	}
	return []mode{
		{"supervise run", run()},
		{"supervise run --no-guard", run("--no-guard")},
		{"supervise run --contain subreaper", run("--contain", "subreaper")},
		{"supervise (the seed's protocol)", func() (*specimen, error) { return b.spawnSeed(1) }},
	}
}

// memory looks at one supervise at a time: what two processes share counts half for each in their PSS, and the guardian
// shares nearly everything with its supervisor.
func (b *bench) memory() error {
	for _, m := range b.modes() {
		var kb []float64
		var processes int
		for range b.rounds {
			s, err := m.start()
			if err != nil {
				return err
			}
			<-time.After(settle / 4)
			pids, err := b.supervisors(s)
			if err != nil {
				return errors.Join(err, b.finish(s))
			}
			kb = append(kb, float64(pss(pids)))
			processes = len(pids)
			if err := b.finish(s); err != nil {
				return err
			}
		}
		b.add(row{
			Measure: "memory while the job sleeps (PSS of supervisor and guardian)", Program: m.name, Median: median(kb) / 1000, Unit: "MB",
			Rounds: b.rounds, Target: medianAtMost(2.5), Note: fmt.Sprintf("processes: %d", processes),
		})
	}
	return nil
}

// idleSwitches watches all modes in one window: idle programs do not disturb each other.
func (b *bench) idleSwitches() (err error) {
	modes := b.modes()
	specimens := make([]*specimen, len(modes))
	defer func() {
		for _, s := range specimens {
			if s != nil {
				err = errors.Join(err, b.finish(s))
			}
		}
	}()
	for i, m := range modes {
		if specimens[i], err = m.start(); err != nil {
			return err
		}
	}
	<-time.After(settle)
	before, err := b.countSwitches(specimens)
	if err != nil {
		return err
	}
	<-time.After(b.idle)
	after, err := b.countSwitches(specimens)
	if err != nil {
		return err
	}
	for i, m := range modes {
		b.add(row{
			Measure: fmt.Sprintf("context switches in %v of an idle supervisor and guardian", b.idle), Program: m.name,
			Median: float64(after[i] - before[i]), Rounds: 1, Target: medianAtMost(0),
		})
	}
	return nil
}

func (b *bench) countSwitches(specimens []*specimen) (counts []int, err error) {
	for _, s := range specimens {
		pids, err := b.supervisors(s)
		if err != nil {
			return nil, err
		}
		counts = append(counts, switches(pids))
	}
	return counts, nil
}
