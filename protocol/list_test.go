package protocol

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"
)

// TestListSchema: the schemas of what "supervise list" and "supervise stat" write are those of the types.
func TestListSchema(t *testing.T) {
	for file, about := range map[string]struct {
		layout      reflect.Type
		description string
		example     any
	}{
		"list.schema.json": {reflect.TypeFor[List](), "The jobs that the supervisors of a machine hold.", List{Schema: ListSchema, Jobs: []ListedJob{{
			ID: "4be0568c/a", Name: "\xff", State: ListedRunning, Containment: ContainmentCgroup, Owner: &JobOwner{PID: 1, Comm: "init"},
		}}}},
		"stat.schema.json": {reflect.TypeFor[Stat](), "What a running job has used so far, and what runs in it.", Stat{Schema: StatSchema,
			Job:    ListedJob{State: ListedFrozen, Containment: ContainmentSubreaper},
			Limits: []NowLimit{{"memory.max", "4096"}}, Procs: []Process{{PID: 2, State: "R"}},
		}},
	} {
		g := &generator{about: comments(t, "list.go", "record.go", "resources.go"), enums: map[string][]any{
			"ListedState": {ListedRunning, ListedFrozen, ListedEmpty, ListedOrphaned},
		}}
		s := g.object(about.layout)
		maps.Copy(s, object{
			"$schema": "https://json-schema.org/draft/2020-12/schema", "title": schemas[about.layout],
			"description": about.description + " What is not known is null, never zero. Fields may be added.",
		})
		wantFile(t, file, s)
		b, err := Marshal(about.example)
		if err == nil {
			err = validator(t, file)(b)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		back := reflect.New(about.layout)
		if err := Unmarshal(b, back.Interface()); err != nil {
			t.Error(err)
		}
		if again, err := Marshal(back.Elem().Interface()); err != nil || string(again) != string(b) {
			t.Errorf("%v: %s became %s", err, b, again)
		}
		if json.Valid(b) && validator(t, file)([]byte("{}")) == nil {
			t.Errorf("%s: {} is valid", file)
		}
	}
}
