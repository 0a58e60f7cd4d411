package record

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestMarksFlood: of a flood of marks little is read at once, as each takes a look at the counters, until no phase is begun
// any more.
func TestMarksFlood(t *testing.T) {
	for phases, least := range map[int]int{0: 1, MaxPhases: 1000} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		const size = 10000
		w.WriteString(strings.Repeat("x", size))
		s := &Samples{marks: int(r.Fd()), phases: make([]protocol.Phase, phases)}
		more := s.ReadMarks()
		left, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
		if taken := size - left; err != nil || !more || taken < least || taken > 100*least {
			t.Errorf("with %d phases: read %d bytes, more %t, %v", phases, taken, more, err)
		}
		if len(s.phases) != phases {
			t.Errorf("%d phases, there were %d", len(s.phases), phases)
		}
	}
}
