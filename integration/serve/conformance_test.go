package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A step is a line of the conformance script: see "Conformance" in protocol/SERVE.md.
type step struct {
	number int

	Conversation string      `json:"conversation"`
	Only         containment `json:"only"`
	Send         object      `json:"send"`
	Raw          string      `json:"raw"`
	Repeat       []any       `json:"repeat"`
	Expect       object      `json:"expect"`
	Skip         string      `json:"skip"`
	Close        bool        `json:"close"`
	End          *int        `json:"end"`
}

// readScript returns the conversations, each with its first line, which names it.
func readScript(t testing.TB) (all [][]step) {
	t.Helper()
	script, err := os.ReadFile(testbed.Source("protocol", "testdata", "conformance.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range bytes.Split(bytes.TrimSpace(script), []byte("\n")) {
		st := step{number: i + 1}
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&st); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if st.Conversation != "" {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], st)
	}
	return all
}

func TestConformance(t *testing.T) {
	conversations := readScript(t)
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, steps := range conversations {
			if only := steps[0].Only; only == "" || only == c {
				t.Run(steps[0].Conversation, func(t *testing.T) { replay(t, c, steps) })
			}
		}
	})
}

// A replayer holds a conversation.
type replayer struct {
	*server
	bound object          // by name
	skip  map[string]bool // notifications
}

func replay(t *testing.T, c containment, steps []step) {
	r := &replayer{newBox(t).serve(c, pipes), object{}, map[string]bool{}}
	for _, st := range steps {
		if st.Only != "" && st.Only != c {
			continue
		}
		if err := r.do(st); err != nil {
			t.Fatalf("line %d: %v", st.number, err)
		}
	}
}

func (r *replayer) do(st step) error {
	switch {
	case st.Send != nil:
		r.write(text(replace(st.Send, r.bound)) + "\n")
	case st.Raw != "":
		r.write(st.Raw)
	case st.Repeat != nil:
		r.write(strings.Repeat(st.Repeat[0].(string), int(st.Repeat[1].(float64))))
	case st.Skip != "":
		r.skip[st.Skip] = true
	case st.Close:
		r.closeInput()
	case st.Expect != nil:
		m := r.said()
		if err := match(st.Expect, m, r.bound); err != nil {
			return fmt.Errorf("%w\nwant %s\nhave %s", err, text(st.Expect), text(m))
		}
	case st.End != nil:
		if m := r.said(); m != nil {
			return fmt.Errorf("want the end, have %s", text(m))
		}
		if code := r.wait(); code != *st.End {
			return fmt.Errorf("exit status %d, want %d", code, *st.End)
		}
	}
	return nil
}

// said is the next message that is not to be skipped.
func (r *replayer) said() object {
	for {
		m := r.next()
		if method, _ := m["method"].(string); !r.skip[method] {
			return m
		}
	}
}

// replace puts what was bound for the names of it.
func replace(v any, bound object) any {
	switch v := v.(type) {
	case object:
		r := object{}
		for name, member := range v {
			r[name] = replace(member, bound)
		}
		return r
	case []any:
		r := []any{}
		for _, element := range v {
			r = append(r, replace(element, bound))
		}
		return r
	case string:
		if strings.HasPrefix(v, "$") && bound[v] != nil {
			return bound[v]
		}
	}
	return v
}

// match says what a message lacks of what was wanted.
func match(want, have any, bound object) error {
	switch want := want.(type) {
	case object:
		have, ok := have.(object)
		for name, member := range want {
			if err := match(member, have[name], bound); err != nil || !ok && member != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return fmt.Errorf("have %s", text(have))
		}
		for i, element := range want {
			if err := match(element, have[i], bound); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	case string:
		switch {
		case !strings.HasPrefix(want, "$"):
		case have == nil:
			return errors.New("have none")
		case want == "$":
			return nil
		case bound[want] == nil:
			bound[want] = have
			return nil
		default:
			return match(bound[want], have, nil)
		}
	}
	if want != have {
		return fmt.Errorf("have %s", text(have))
	}
	return nil
}
