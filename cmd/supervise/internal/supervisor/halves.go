package supervisor

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/signals"
)

// halves tells whether a signal was sent both to this process and to one that stands for it
// (see Relay). It remembers the last one of each kind. The zero value is ready.
type halves struct{ last map[unix.Signal]half }

type half struct {
	from    int
	relayed bool
	at      time.Time
}

// halvesWithin is how far apart the two halves of one signal may arrive.
const halvesWithin = 200 * time.Millisecond

// second says whether a signal is the second half of one: from the same process, by the
// other way. A third one is a signal of its own.
func (h *halves) second(s signals.Signal, relayed bool) bool {
	if s.From <= 0 {
		return false
	}
	first, ok := h.last[s.Signal]
	if ok && first.from == s.From && first.relayed != relayed && time.Since(first.at) < halvesWithin {
		delete(h.last, s.Signal)
		return true
	}
	if h.last == nil {
		h.last = map[unix.Signal]half{}
	}
	h.last[s.Signal] = half{s.From, relayed, time.Now()}
	return false
}
