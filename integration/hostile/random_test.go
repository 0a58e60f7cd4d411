package hostile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// What random attacks are made of. Blows are on supervise itself.
var (
	tricks = []string{
		"nothing", "daemons", "subreaper", "stopped", "zombies", "squib", "ptrace", "memory", "descriptors", "oom",
		"chmod-files", "freeze", "descendants", "shaft", "namespace", "limits",
	}
	// moves make what a guardian cannot end alone: a job of the same user does not join them with a blow.
	moves = []string{"move", "threaded", "chmod-dirs"}
	blows = []string{"kill-supervise", "kill-guardian", "guardian-first", "stop-guardian", "signals", "nproc", "fsize", "as", "cpu"}
	// hopeless is what the table calls not held of a job of the same user, alone or with others.
	hopeless = []string{"kill-all", "both", "stop-supervise", "nofile", "move-kill", "unmark-kill", "xattr-both", "flock-both", "chmod-both", "threaded-both", "freeze-supervise"}
)

// A round is what one throw of the dice has chosen.
type round struct {
	kind        kind
	containment string
	attacks     []string
}

// throw chooses a round, in which nothing is done twice.
func throw(dice *rand.Rand) (r round) {
	defer func() {
		slices.SortFunc(r.attacks, strings.Compare)
		r.attacks = slices.Compact(r.attacks)
		dice.Shuffle(len(r.attacks), func(i, j int) { r.attacks[i], r.attacks[j] = r.attacks[j], r.attacks[i] })
	}()
	pick := func(from []string) string { return from[dice.IntN(len(from))] }
	r = round{kind: kinds[dice.IntN(len(kinds))], containment: pick(containments)}
	for range 1 + dice.IntN(4) {
		r.attacks = append(r.attacks, pick(tricks))
	}
	if r.kind.name == "same user" {
		all := slices.Concat(moves, blows)
		if slices.Contains(r.attacks, "namespace") { // from outside of the session it takes the rights off the place itself: supervise says so
			all = blows
		}
		// In the fallback it may hit supervise and its guardian at the same moment. And where the place may have no more cgroups, the next
		// supervise can make none, and says so.
		if r.containment == "subreaper" || slices.Contains(r.attacks, "descendants") {
			all = slices.DeleteFunc(slices.Clone(all), func(one string) bool { return one == "as" })
		}
		r.attacks = append(r.attacks, pick(all))
		return r
	}
	for range dice.IntN(4) {
		r.attacks = append(r.attacks, pick(slices.Concat(moves, blows, hopeless)))
	}
	return r
}

// TestRandom: of random attacks together nothing is left, and there is a record wherever supervise could not be hit.
func TestRandom(t *testing.T) {
	needRoot(t)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d -rounds %d", *seed, *rounds)
	dice := rand.New(rand.NewPCG(*seed, 0))
	t.Run("rounds", func(t *testing.T) {
		for i := range *rounds {
			r := throw(dice)
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				r.play(t)
				if t.Failed() {
					t.Logf("-seed %d, round %d: %s, %s, %s", *seed, i, r.kind.name, r.containment, strings.Join(r.attacks, ","))
				}
			})
		}
	})
}

func (r round) play(t *testing.T) {
	c := newCell(t, r.kind, r.containment)
	c.start(r.attacks...)
	c.expectReady()
	c.owner.Close()
	ended, gone := c.ended(patience), c.gone(patience)
	if !ended || !gone {
		t.Errorf("supervise has ended: %v; left: %q; %q", ended, processes(c.uid), c.told)
		return
	}
	record := c.readRecord()
	if record == nil && r.kind.name != "same user" {
		t.Errorf("no record; %v; %q; stderr %q", c.cmd.ProcessState, c.told, c.errors.String())
	}
	if record == nil {
		c.next()
	}
	c.expectNoSession()
}
