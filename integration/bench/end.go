package main

import (
	"fmt"
	"strconv"
)

// ending is one way to end many sleeping processes. Each begins when the bench closes a descriptor and is over when the
// process that the bench started has been waited for, with no process left, not even a zombie, and no cgroup.
//
// The references do just what must be done, by hand (helper.go): a write of 1 to cgroup.kill, then wait for every child,
// see `populated 0`, remove the directory, exit. Reaping is part of it, as in supervise: the dead have to be reaped by
// someone, and a reference that leaves 1,000 zombies to another process would only hide that work. It reaps while the
// kernel is still killing, which is the fastest way known here; waiting for `populated 0` first is slower.
//
// Each mode of supervise has the reference with its own shape of tree: in the seed's mode the sleepers are children of
// the one who kills; in run mode they are the orphans of a main process whose exit is the beginning of the end.
type ending struct {
	name   string
	start  func() (*specimen, error)
	base   int // index of its reference in the list; its own: it is one
	target float64
}

func (b *bench) endings() []ending {
	n := strconv.Itoa(b.procs)
	orphans := helperCommand(b.self, "orphans", n)
	run := func(flags ...string) func() (*specimen, error) {
		argv := append(append([]string{b.supervise, "run"}, flags...), "--")
		return func() (*specimen, error) { return b.spawnReady(append(argv, orphans...)) }
	}
	bare := func(kind string, more ...string) func() (*specimen, error) {
		return func() (*specimen, error) {
			return b.spawnReady(helperCommand(b.self, append([]string{kind, n}, more...)...))
		}
	}
	return []ending{
		{"write to cgroup.kill, reap: orphans", bare("bare-orphans"), 0, 0},
		{"supervise run", run(), 0, 1.3},
		{"supervise run --no-guard", run("--no-guard"), 0, 0},
		{"supervise run --contain subreaper", run("--contain", "subreaper"), 0, 0},
		{"write to cgroup.kill, reap: own children", bare("bare-children"), 4, 0},
		{"the same, whose children were looked for", bare("bare-children", "looked"), 4, 0},
		{"supervise (the seed's protocol)", func() (*specimen, error) { return b.spawnSeed(b.procs) }, 4, 1.2},
	}
}

func (b *bench) end() error {
	list := b.endings()
	times := make([][]float64, len(list))
	for range b.rounds {
		for i, e := range list {
			if !b.ground.usable() && e.base == i {
				continue // nowhere to write: no reference
			}
			s, err := e.start()
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			took, err := b.finishTimed(s)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			times[i] = append(times[i], milliseconds(took))
		}
	}
	for i, e := range list {
		if len(times[i]) == 0 {
			continue
		}
		r := row{
			Measure: fmt.Sprintf("ending %d sleeping processes", b.procs), Program: e.name, Median: median(times[i]), Unit: "ms",
			Rounds: b.rounds, Target: atMost(e.target),
		}
		if e.base != i {
			r = r.against("bare", times[e.base], nil)
		}
		b.add(r)
	}
	return nil
}
