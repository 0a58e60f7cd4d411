package serve

import (
	"slices"
	"testing"
)

// TestArchiveOldestFirst: room is made of what ended first, also where very many have ended, and the sums are right.
func TestArchiveOldestFirst(t *testing.T) {
	const many = maxKeptOutput / keptCost
	a := archive{jobs: map[int][]*kept{}}
	for i := range many {
		if !a.reserve(1) {
			t.Fatal("no room for one byte")
		}
		a.store(i, []*kept{{number: 1, most: 1}})
	}
	if len(a.order) != many || a.promised != 0 || a.stored != many*keptCost {
		t.Fatalf("%d jobs, %d and %d bytes", len(a.order), a.promised, a.stored)
	}
	if !a.reserve(maxKeptOutput / 2) {
		t.Fatal("no room")
	}
	if len(a.order) != many {
		t.Errorf("a job that is not started yet drops %d others", many-len(a.order))
	}
	a.makeRoom()
	a.forget(many - 2) // in the middle
	a.forget(many)     // not there
	if n := len(a.order); n != many/2-1 || a.order[0] != many/2 || slices.Contains(a.order, many-2) || len(a.jobs) != n || a.stored != int64(n)*keptCost {
		t.Errorf("%d jobs, %d in the map, from %d on, %d bytes", n, len(a.jobs), a.order[0], a.stored)
	}
}
