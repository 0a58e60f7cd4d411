package serve

import (
	"fmt"
	"strings"
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

func TestHalfPair(t *testing.T) {
	for line, want := range map[string]bool{
		``: false, `{}`: false, `\`: false, `\u`: false, `\udcf`: false, `a\u0041\n`: false, `\ufffd`: false, "\ufffd": false,
		`\udcff`: true, `x\uDCFF"`: true, `\ud83d`: true, `\ud83dx\ude00`: true, `\ude00\ud83d`: true, `\ud83d\ud83d\ude00`: true,
		`\ud83d\ude00`: false, `\uD83D\uDE00\uD83D\uDE00`: false, `\\udcff`: false, `\\\udcff`: true, `\"\udcff`: true,
	} {
		if got := hasHalfPair([]byte(line)); got != want {
			t.Errorf("%q: %t", line, got)
		}
	}
}

// TestKept: what is kept of all jobs is bounded.
func TestKept(t *testing.T) {
	v, owner := newServer(t)
	v.phase, v.kept = serving, maxKept
	v.request([]byte(`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["true"]}}`))
	v.conn.Flush()
	if got := answers(owner); len(got) != 1 || !strings.HasPrefix(got[0], refusal(1, protocol.CodeTooMany)) {
		t.Errorf("%q", got)
	}
	j := &job{v: v, number: 1, argv: []string{"a", "bc"}, tags: map[string]string{"d": "", "": "efg"}}
	v.jobs[1], v.kept = j, j.size()
	if v.kept != 7 {
		t.Errorf("%d bytes", v.kept)
	}
	if v.forget(j); v.kept != 0 || len(v.jobs) != 0 {
		t.Errorf("%d bytes of %d jobs", v.kept, len(v.jobs))
	}
}
