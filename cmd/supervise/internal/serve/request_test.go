package serve

import (
	"encoding/json"
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

// TestKept: what is kept of all jobs is bounded.
func TestKept(t *testing.T) {
	v, owner := newServer(t)
	v.phase, v.kept = serving, maxKept
	v.request([]byte(`{"jsonrpc":"2.0","id":1,"method":"spawn","params":{"argv":["true"]}}`)).carryOut()
	v.conn.Flush()
	if got := answers(owner); len(got) != 1 || !strings.HasPrefix(got[0], refusal(1, protocol.CodeTooMany)) {
		t.Errorf("%q", got)
	}
	j := &job{v: v, number: 1, argv: []string{"a", "bc"}, tags: map[string]string{"d": "", "": "efg"}}
	v.jobs[1], v.kept = j, j.size()
	if v.kept != 7 {
		t.Errorf("%d bytes", v.kept)
	}
	r := &request{Message: protocol.Message{ID: json.RawMessage(`"id"`), Params: json.RawMessage(`{"job":1}`)}, v: v}
	if _, err := r.wait(); err != nil || !r.late || v.kept != 11 || v.waits != 1 {
		t.Errorf("%v, %d bytes of %d waits", err, v.kept, v.waits)
	}
	v.kept = maxKept
	if _, err := r.wait(); err == nil || v.waits != 1 {
		t.Errorf("%d waits", v.waits)
	}
	for _, wantErr := range []bool{false, true} { // the first is never one too many
		if _, err := r.shutdown(); (err != nil) != wantErr {
			t.Errorf("shutdown: %v", err)
		}
	}
	if v.take(&v.shutters); v.kept != maxKept || len(v.shutters) > 0 {
		t.Errorf("%d bytes of %d shutdowns", v.kept, len(v.shutters))
	}
	v.kept = 11
	if v.take(&j.waits); v.kept != 7 {
		t.Errorf("%d bytes", v.kept)
	}
	if v.forget(j); v.kept != 0 || len(v.jobs) != 0 {
		t.Errorf("%d bytes of %d jobs", v.kept, len(v.jobs))
	}
}
