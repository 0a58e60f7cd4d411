package serve

import (
	"fmt"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

// TestFailurePrintable: the message of an error is for people, and has names in it.
func TestFailurePrintable(t *testing.T) {
	const name, want = "a\n\u009b2J\u202e\xff", `a\n\u009b2J\u202e\xff: not found`
	e := failure(protocol.CodeInvalidParams, "argv", "%s: %v", name, "not found")
	if again := errorOf(fmt.Errorf("in vain: %w", e)); e.Message != want || again.Message != want {
		t.Errorf("%q, then %q", e.Message, again.Message)
	}
}
