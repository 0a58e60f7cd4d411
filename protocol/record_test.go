package protocol

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got\n%s", file, got)
	}
}

func at(nanoseconds int) Time {
	return Time{time.Date(2026, 2, 3, 4, 5, 6, nanoseconds, time.UTC)}
}

// fullRecord has a value in every field.
func fullRecord() *Record {
	return &Record{
		Schema: RecordSchema,
		Name:   new("nightly"), Argv: []string{"sh", "-c", "echo \"a\tb\" <&0", "ü\xff"}, PID: new(4711),
		Cgroup:      new("/sys/fs/cgroup/jobs-x/nightly"),
		Containment: ContainmentCgroup, ContainmentReason: new("none"),
		Started: at(0), Ended: at(123456789), WallS: 0.123456789,
		Exit: &Exit{Code: new(3), Signal: new("SIGKILL"), Core: true}, Cause: CauseTimeout,
		CPU: CPU{new(1.5), new(0.25), new(1.75), new(uint64(20)), new(uint64(3)), new(0.125)}, Reaped: 7,
		Memory: Memory{
			PeakBytes: new(uint64(1 << 30)), SwapPeakBytes: new(uint64(4096)),
			Events:      &MemoryEvents{new(uint64(0)), new(uint64(1)), new(uint64(2)), new(uint64(3)), new(uint64(4)), new(uint64(5))},
			EventsLocal: &MemoryEvents{Max: new(uint64(2))},
			AtPeak:      &MemorySplit{new(uint64(1)), new(uint64(2)), new(uint64(1)), new(uint64(3))},
			SampledMax:  &MemorySplit{new(uint64(4)), new(uint64(2)), new(uint64(1)), new(uint64(5))},
		},
		IO:        IO{new(uint64(512)), new(uint64(1024)), new(uint64(1)), new(uint64(2)), []DeviceIO{{"8:0", 512, 1024, 1, 2}}},
		Pids:      Pids{new(uint64(9)), new(uint64(0))},
		Pressure:  Pressure{Stall{new(0.5), new(0.25)}, Stall{}, Stall{SomeS: new(0.001)}},
		Main:      MainUsage{new(uint64(1 << 20)), new(uint64(100)), new(uint64(1)), new(uint64(10)), new(uint64(20))},
		OOMKilled: new(true), OOM: &OOM{By: OOMByAncestor, Cgroup: new("/sys/fs/cgroup/a"), Kills: new(uint64(1))},
		Phases: []Phase{{
			Name: "load\xff", Started: at(1), WallS: 0.5, CPU: CPU{TotalS: new(0.25)}, MaxMemory: new(uint64(5)), MaxAnon: new(uint64(4)),
		}},
		Limits:     []Limit{{Name: "--memory-max 1G", File: "memory.max", Value: "1073741824"}},
		Unenforced: []Unenforced{{Name: "--io-max /caf\xe9,rbps=1", Reason: "no io controller"}},
		Leftovers: []Leftover{
			{PID: 42, Comm: "caf\xe9", Argv: []string{"caf\xe9", "1000"}, ArgvCut: true, AgeS: new(0.5), RSSBytes: new(int64(1 << 33))},
			{PID: 43, Comm: "(sd-pam)", Argv: []string{}},
		},
		LeftoversTotal: new(102),
		Error:          new("removing /sys/fs/cgroup/jobs-x: device or resource busy"),
	}
}

// startFailed is the least a record says.
func startFailed() *Record {
	return &Record{
		Schema: RecordSchema, Argv: []string{"nosuch"}, Leftovers: []Leftover{}, Limits: []Limit{}, Unenforced: []Unenforced{},
		Started: at(500), Ended: at(500), Cause: CauseStartFailed, Error: new("no such file or directory"),
	}
}

func TestRecordJSON(t *testing.T) {
	for name, r := range map[string]*Record{"record.json": fullRecord(), "start-failed.json": startFailed()} {
		t.Run(name, func(t *testing.T) {
			b, err := Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, append(b, '\n'), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, name, pretty.Bytes())
			var back Record
			if err := Unmarshal(b, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(&back, r) {
				t.Errorf("it came back as %+v", back)
			}
		})
	}
}

// TestRecordNulls: what is not known is there, and null.
func TestRecordNulls(t *testing.T) {
	b, err := json.Marshal(startFailed())
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"name", "pid", "cgroup", "containment_reason", "exit", "leftovers_total", "oom", "oom_killed"} {
		if got := string(fields[name]); got != "null" {
			t.Errorf("%s is %q, want null", name, got)
		}
	}
	for name, want := range map[string]string{
		"schema": `"supervise.record/1"`, "leftovers": "[]", "limits": "[]", "unenforced": "[]",
		"pids":     `{"peak":null,"max_hits":null}`,
		"pressure": `{"cpu":{"some_s":null,"full_s":null},"memory":{"some_s":null,"full_s":null},"io":{"some_s":null,"full_s":null}}`,
	} {
		if got := string(fields[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestTimeJSON(t *testing.T) {
	east := time.FixedZone("", 5*3600+1800)
	tests := []struct {
		name string
		t    time.Time
		want string
	}{
		{"whole second", at(0).Time, `"2026-02-03T04:05:06.000000000Z"`},
		{"nine digits", at(123456789).Time, `"2026-02-03T04:05:06.123456789Z"`},
		{"trailing zeros", at(120000000).Time, `"2026-02-03T04:05:06.120000000Z"`},
		{"one nanosecond", at(1).Time, `"2026-02-03T04:05:06.000000001Z"`},
		{"elsewhere", time.Date(2026, 1, 1, 1, 0, 0, 5, east), `"2025-12-31T19:30:00.000000005Z"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := json.Marshal(Time{tt.t})
			if err != nil || string(b) != tt.want {
				t.Fatalf("got %s, %v, want %s", b, err, tt.want)
			}
			var back Time
			if err := json.Unmarshal(b, &back); err != nil || !back.Equal(tt.t) {
				t.Errorf("it came back as %v, %v", back, err)
			}
		})
	}
}

func TestTimeJSONErrors(t *testing.T) {
	for _, s := range []string{`""`, `0`, `"yesterday"`, `"2026-02-03"`} {
		var got Time
		if err := json.Unmarshal([]byte(s), &got); err == nil {
			t.Errorf("%s was read as %v", s, got)
		}
	}
}
