package testbed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Step is a line of the conformance script: see "Conformance" in protocol/SERVE.md.
type Step struct {
	Number int `json:"-"`

	Conversation string         `json:"conversation"`
	Only         string         `json:"only"`
	Send         map[string]any `json:"send"`
	Raw          string         `json:"raw"`
	Repeat       []any          `json:"repeat"`
	Expect       map[string]any `json:"expect"`
	Skip         string         `json:"skip"`
	Close        bool           `json:"close"`
	End          *int           `json:"end"`
}

// ReadScript returns the conversations of the script, each with its first line, which names it.
func ReadScript() (all [][]Step, err error) {
	script, err := os.ReadFile(Source("protocol", "testdata", "conformance.jsonl"))
	if err != nil {
		return nil, err
	}
	for i, line := range bytes.Split(bytes.TrimSpace(script), []byte("\n")) {
		st := Step{Number: i + 1}
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&st); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if st.Conversation != "" {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], st)
	}
	return all, nil
}

// A Peer is a server that a conversation is held with.
type Peer struct {
	Say   func(text string)
	Line  func() (string, error) // the next that it says; io.EOF at the end
	Close func()                 // its input
	Wait  func() int             // its exit status
}

// A replay is a conversation.
type replay struct {
	Peer
	bound map[string]any  // by name
	skip  map[string]bool // notifications
}

// Replay holds a conversation, as of a containment.
func Replay(p Peer, containment string, steps []Step) error {
	r := &replay{p, map[string]any{}, map[string]bool{}}
	for _, st := range steps {
		if st.Only != "" && st.Only != containment {
			continue
		}
		if err := r.do(st); err != nil {
			return fmt.Errorf("line %d: %w", st.Number, err)
		}
	}
	return nil
}

func (r *replay) do(st Step) error {
	switch {
	case st.Send != nil:
		r.Say(asJSON(r.replace(st.Send)) + "\n")
	case st.Raw != "":
		r.Say(st.Raw)
	case st.Repeat != nil:
		r.Say(strings.Repeat(st.Repeat[0].(string), int(st.Repeat[1].(float64))))
	case st.Skip != "":
		r.skip[st.Skip] = true
	case st.Close:
		r.Close()
	case st.Expect != nil:
		m, err := r.said()
		if err == nil {
			err = match(st.Expect, m, r.bound)
		}
		if err != nil {
			return fmt.Errorf("%w\nwant %s\nhave %s", err, asJSON(st.Expect), asJSON(m))
		}
	case st.End != nil:
		if m, err := r.said(); err != io.EOF {
			return fmt.Errorf("want the end, have %s, %w", asJSON(m), err)
		}
		if code := r.Wait(); code != *st.End {
			return fmt.Errorf("exit status %d, want %d", code, *st.End)
		}
	}
	return nil
}

// said is the next message that is not to be skipped.
func (r *replay) said() (m map[string]any, err error) {
	for {
		line, err := r.Line()
		if err != nil {
			return nil, err
		}
		m = nil
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if method, _ := m["method"].(string); !r.skip[method] {
			return m, nil
		}
	}
}

// replace puts what was bound for the names of it.
func (r *replay) replace(v any) any {
	switch v := v.(type) {
	case map[string]any:
		all := map[string]any{}
		for name, member := range v {
			all[name] = r.replace(member)
		}
		return all
	case []any:
		all := []any{}
		for _, element := range v {
			all = append(all, r.replace(element))
		}
		return all
	case string:
		if strings.HasPrefix(v, "$") && r.bound[v] != nil {
			return r.bound[v]
		}
	}
	return v
}

// match says what a message lacks of what was wanted.
func match(want, have any, bound map[string]any) error {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		for name, member := range want {
			if err := match(member, have[name], bound); err != nil || !ok && member != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return fmt.Errorf("have %s", asJSON(have))
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
		return fmt.Errorf("have %s", asJSON(have))
	}
	return nil
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
