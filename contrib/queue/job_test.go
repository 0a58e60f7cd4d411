package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestParseJob(t *testing.T) {
	tests := []struct{ text, wrong string }{
		{`{"id":"a-1_B","argv":["true"],"timeout_s":1.5}`, ""},
		{`{"id":"a","argv":[]}`, "argv is empty"},
		{`{"argv":["true"]}`, `id ""`},
		{`{"id":"a.b","argv":["true"]}`, `id "a.b"`},
		{`{"id":"a","argv":["true"],"timeout_s":-1}`, "want 0 to 1e9"},
		{`{"id":"a","argv":["true"],"timeout_s":1e300}`, "want 0 to 1e9"},
		{`[]`, "the message is no job"},
	}
	for _, tt := range tests {
		_, err := parseJob([]byte(tt.text))
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.wrong)
		}
	}
}

// FuzzParseJob: what is a job is the same job when it is written and read again.
func FuzzParseJob(f *testing.F) {
	f.Add([]byte(`{"id":"a","argv":["true"],"env":["A=b"],"limits":{"memory-max":"1G"},"timeout_s":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := parseJob(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJob(text)
		if err != nil || !reflect.DeepEqual(j.Argv, again.Argv) || j.ID != again.ID {
			t.Errorf("%s became %s, %v", data, text, err)
		}
	})
}

func TestTail(t *testing.T) {
	var whole strings.Builder
	var got tail
	for i := range 3000 {
		part := strings.Repeat(string(rune('a'+i%26)), i%97)
		whole.WriteString(part)
		got.Write([]byte(part))
	}
	if want := whole.String()[whole.Len()-outputSize:]; string(got.last) != want {
		t.Errorf("the last %d of %d bytes are others", outputSize, whole.Len())
	}
}
