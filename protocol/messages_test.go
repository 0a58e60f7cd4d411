package protocol

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// messages are those of input, terminals, kept output, windows, readiness and kill with wait.
var messages = map[string]any{
	MethodInput: InputParams{}, MethodResize: ResizeParams{}, MethodOutput: OutputParams{}, MethodCredit: CreditParams{}, MethodKill: KillParams{},
	"output.result": OutputResult{}, "kill.result": KillResult{}, "output.note": JobOutput{}, NoteReady: JobReady{}, NoteEnded: JobEnded{},
}

// FuzzMessages: what can be decoded is the same when it was encoded, and decoded again.
func FuzzMessages(f *testing.F) {
	f.Add(MethodInput, []byte(`{"job":1,"fd":3,"data":"aGk=","eof":true}`))
	f.Add("output.note", []byte(`{"job":1,"fd":1,"text":"caf\u00e9"}`))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		example := messages[name]
		if example == nil {
			return
		}
		round := func(b []byte) ([]byte, error) {
			v := reflect.New(reflect.TypeOf(example)).Interface()
			if err := Unmarshal(b, v); err != nil {
				return nil, err
			}
			return Marshal(v)
		}
		text, err := round(b)
		if err != nil {
			return
		}
		// Nobody writes comm_BASE64, which encoding/json takes for comm_base64.
		first, err1 := round(text)
		second, err2 := round(first)
		if err1 != nil || err2 != nil || !bytes.Equal(first, second) || !json.Valid(text) || bytes.ContainsRune(text, '\n') {
			t.Errorf("%s, then %s, then %s, %v, %v", text, first, second, err1, err2)
		}
	})
}

// TestMessages: fields that are not there are not told, and an empty part of the output is.
func TestMessages(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{InputParams{Job: 1}, `{"job":1}`},
		{InputParams{Job: 1, Text: "\xff", EOF: true}, `{"job":1,"text":{"base64":"/w=="},"eof":true}`},
		{OutputParams{Job: 1, Offset: new(int64(0))}, `{"job":1,"offset":0}`},
		{OutputResult{Data: []byte{}}, `{"offset":0,"next":0,"cut":0,"bytes":0,"data":"","eof":false,"ended":false}`},
		{OutputResult{Text: new("")}, `{"offset":0,"next":0,"cut":0,"bytes":0,"text":"","eof":false,"ended":false}`},
		{CreditParams{Job: 1, Bytes: 2}, `{"job":1,"bytes":2}`},
		{JobOutput{Job: 1, FD: 1, Text: new("é")}, `{"job":1,"fd":1,"text":"é"}`},
		{KilledProcess{PID: 1, Comm: "\xff"}, `{"pid":1,"comm":"\ufffd","comm_base64":"/w=="}`},
		{[]Stdio{{Input: true}, {PTY: &PTYSpec{}}, {Capture: &CaptureSpec{Window: 1, Keep: 2, Text: true}}}, `[{"input":true},{"pty":{}},{"capture":{"window":1,"keep":2,"text":true}}]`},
	} {
		if got, err := Marshal(tt.v); err != nil || string(got) != tt.want {
			t.Errorf("%s, %v, want %s", got, err, tt.want)
		}
	}
	for text, want := range map[string]Stdio{`"input"`: {Input: true}, `"pty"`: {PTY: &PTYSpec{}}, `{"pty":{"rows":3}}`: {PTY: &PTYSpec{Rows: 3}}} {
		var got Stdio
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}
