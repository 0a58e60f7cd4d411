package protocol

import (
	"encoding/json"
	"reflect"
	"testing"
)

// fullDiagnosis has a value in every field.
func fullDiagnosis() *Diagnosis {
	return &Diagnosis{
		Schema: DiagnosisSchema, Version: "v1.2.3",
		Containment: ContainmentSubreaper, Reason: new("permission denied"), Road: new("shared"), Root: new("/sys/fs/cgroup/a"),
		Place: Place{UID: 1000, Container: new("podman"), UserNamespace: true, Systemd: true, UserManager: new(false)},
		Mount: &CgroupMount{Point: "/sys/fs/cgroup", Root: "/", Shown: true, ReadOnly: true}, Cgroup: new("/a"), Top: true, Others: new(2),
		V1: []string{"memory"},
		Chain: []CgroupOnPath{{
			Name: "/a", Path: "/sys/fs/cgroup/a", UID: new(0), Writable: true, Delegated: true,
			Controllers: []string{"cpu", "pids"}, SubtreeControl: []string{"pids"}, Error: new("no such file or directory"),
		}},
		Controllers: []Controller{{Name: "cpu", StopsAt: new("/")}, {Name: "pids", Available: true}},
		Features:    []Feature{{"cgroup.kill", new(true), nil}, {"memory.peak", nil, new("no cgroup in sight would have it")}},
		Bus: Bus{
			Program: new("/usr/bin/supervise-scope"), Error: new("it takes too long"),
			Roads: []BusRoad{{"private", "/run/user/1000/systemd/private", false, new("refused")}},
			Unit:  new("session-3.scope"), Delegate: new(false), UserControllers: []string{"memory", "pids"}, Linger: new(true),
		},
		Fixes: []Fix{{"read-only", "it is read-only", "Remount:", []string{"mount -o remount,rw /sys/fs/cgroup"},
			[]FixCommand{{"mount -o remount,rw /sys/fs/cgroup", true, "remount it"}}}},
	}
}

func TestDiagnosisJSON(t *testing.T) {
	d := fullDiagnosis()
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "doctor.json", append(b, '\n'))
	var back Diagnosis
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, d) {
		t.Errorf("it came back as %+v", back)
	}
}

// TestDiagnosisNulls: what is not known is there, and null.
func TestDiagnosisNulls(t *testing.T) {
	b, err := json.Marshal(&Diagnosis{Features: []Feature{{}}, Chain: []CgroupOnPath{{}}})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reason", "road", "root", "mount", "cgroup", "others"} {
		if got := string(fields[name]); got != "null" {
			t.Errorf("%s is %q, want null", name, got)
		}
	}
	if got, want := string(fields["features"]), `[{"name":"","works":null,"detail":null}]`; got != want {
		t.Errorf("features are %s, want %s", got, want)
	}
}
