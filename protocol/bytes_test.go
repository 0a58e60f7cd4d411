package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// odd is no UTF-8; oddBase64 is the same as JSON has it.
const odd, oddBase64 = "caf\xe9", `"Y2Fm6Q=="`

// TestBytes: what JSON would lose is beside it, and comes back; what it has is not said twice.
func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{&Unenforced{Name: "café", Reason: "\ufffd"}, `{"name":"café","reason":"` + "\ufffd" + `"}`},
		{&Unenforced{Name: `a\ufffd`}, `{"name":"a\\ufffd","reason":""}`},
		{&Unenforced{Name: odd}, `{"name":"caf\ufffd","name_base64":` + oddBase64 + `,"reason":""}`},
		{&OOM{Cgroup: new(odd)}, `{"by":"","cgroup":"caf\ufffd","cgroup_base64":` + oddBase64 + `,"kills":null}`},
		{&Leftover{Comm: "a", Argv: []string{"a", odd, ""}}, `{"pid":0,"comm":"a","argv":["a","caf\ufffd",""],"argv_base64":["YQ==",` + oddBase64 +
			`,""],"argv_cut":false,"age_s":null,"rss_bytes":null}`},
		{&StatResult{JobState: JobState{Name: odd}}, ""}, // embedded
		{&ListResult{Jobs: []JobState{{Name: "a"}, {Cgroup: new(odd)}}}, ""},
		{&JobEnded{Record: &Record{Argv: []string{odd}, OOM: &OOM{Cgroup: new(odd)}, Phases: []Phase{{Name: odd}}}}, ""},
	} {
		before, _ := json.Marshal(tt.v)
		b, err := Marshal(tt.v)
		if err != nil || tt.want != "" && string(b) != tt.want {
			t.Errorf("%s, %v; want %s", b, err, tt.want)
		}
		if after, _ := json.Marshal(tt.v); string(after) != string(before) {
			t.Errorf("it was changed: %s", after)
		}
		back := reflect.New(reflect.TypeOf(tt.v).Elem()).Interface()
		if err := Unmarshal(b, back); err != nil || !reflect.DeepEqual(back, tt.v) {
			t.Errorf("%s came back as %+v, %v", b, back, err)
		}
	}
}

// TestTwins: each field with bytes is named after a text of its own struct, in Go and in JSON.
func TestTwins(t *testing.T) {
	seen := map[reflect.Type]bool{}
	found := 0
	var look func(reflect.Type)
	look = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			look(f.Type)
			name, is := strings.CutSuffix(f.Name, twin)
			if !is {
				continue
			}
			found++
			of, ok := typ.FieldByName(name)
			if !ok || f.Tag.Get("json") != of.Tag.Get("json")+"_base64,omitempty" {
				t.Errorf("%s.%s: its text is %+v", typ, f.Name, of)
			}
		}
	}
	for _, types := range methods {
		if types[1] != nil {
			look(reflect.TypeOf(types[1]))
		}
	}
	for _, example := range notes {
		look(reflect.TypeOf(example))
	}
	look(reflect.TypeFor[Diagnosis]())
	if found < 20 {
		t.Errorf("only %d", found)
	}
}

// FuzzBytes: whatever the bytes, the record is valid, and they come back.
func FuzzBytes(f *testing.F) {
	f.Add("a", odd)
	f.Add(`\ufffd`, "\ufffd\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := &Record{Schema: RecordSchema, Name: &a, Argv: []string{a, b}, Leftovers: []Leftover{{Comm: b, Argv: []string{}}}, Limits: []Limit{{Name: a}}, Cause: CauseExited}
		text, err := Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		if err := Unmarshal(text, &back); err != nil || *back.Name != a || !reflect.DeepEqual(back.Argv, r.Argv) || back.Leftovers[0].Comm != b || back.Limits[0].Name != a {
			t.Errorf("%s came back as %+v, %v", text, back, err)
		}
	})
}
