package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseProbe(t *testing.T) {
	bus, err := parseProbe([]byte(`{"schema":"x","roads":[{"road":"private","address":"/run/a","ok":false,"error":"refused","new":1},
		{"road":"bus","address":"unix:path=/b","ok":true,"error":""}],"unit":"a.scope","delegate":true,"later":{}}`))
	if err != nil || len(bus.Roads) != 2 || *bus.Unit != "a.scope" || !*bus.Delegate {
		t.Fatalf("%+v, %v", bus, err)
	}
	if r := bus.Roads[0]; r.Road != "private" || r.Address != "/run/a" || r.OK || *r.Error != "refused" {
		t.Errorf("first: %+v", r)
	}
	if r := bus.Roads[1]; !r.OK || r.Error != nil {
		t.Errorf("second: %+v", r)
	}
	if bus, err := parseProbe([]byte(`{}`)); err != nil || bus.Roads == nil || bus.Unit != nil {
		t.Errorf("nothing: %+v, %v", bus, err)
	}
	for _, bad := range []string{"", "[]", `{"roads":1}`, `{"roads":[]`, "panic: x"} {
		if bus, err := parseProbe([]byte(bad)); err == nil || bus.Roads == nil {
			t.Errorf("%q: %+v, %v", bad, bus, err)
		}
	}
}

// FuzzParseProbe: whatever it says, it can be shown and written.
func FuzzParseProbe(f *testing.F) {
	f.Add([]byte(`{"roads":[{"road":"bus","address":"a","ok":true,"error":null}],"unit":null,"delegate":false}`))
	f.Add([]byte(`{"roads":null}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		bus, err := parseProbe(answer)
		d := &diagnosis{}
		d.Bus, d.Place.Systemd = bus, true
		if text := d.text(); strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "\n") {
			t.Errorf("text %q", text)
		}
		b, e := json.Marshal(bus)
		if e != nil {
			t.Fatal(e)
		}
		if _, e := parseProbe(b); err == nil && e != nil {
			t.Errorf("%s does not come back: %v", b, e)
		}
	})
}

func TestAsk(t *testing.T) {
	tests := []struct {
		name, script string
		limit        time.Duration
		want, err    string
	}{
		{"answer", "echo a; echo no >&2; echo b", time.Minute, "a\nb\n", ""},
		{"stdin is empty", "cat; echo end", time.Minute, "end\n", ""},
		{"failure", "echo a; exit 3", time.Minute, "a\n", "status 3"},
		{"death", "kill -9 $$", time.Minute, "", "SIGKILL"},
		{"too much", "exec yes", time.Minute, "", "too much"},
		{"too long", "echo a; exec sleep 60", 50 * time.Millisecond, "a\n", "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask([]string{"/bin/sh", "-c", tt.script}, tt.limit)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.want != "" && string(got) != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if _, err := ask([]string{"/nonexistent"}, time.Minute); err == nil {
		t.Error("no error for no program")
	}
}

func TestSiblingProgram(t *testing.T) {
	dir := t.TempDir()
	program(t, 0o755, dir, "supervise-example")
	t.Setenv("PATH", dir)
	if got, err := siblingProgram("supervise-example"); err != nil || got != dir+"/supervise-example" {
		t.Errorf("on PATH: %q, %v", got, err)
	}
	if got, err := siblingProgram("supervise-nothing"); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("nowhere: %q, %v", got, err)
	}
	if self, err := os.Executable(); err == nil {
		base := self[strings.LastIndexByte(self, '/')+1:]
		t.Setenv("PATH", "")
		if got, err := siblingProgram(base); err != nil || got != self {
			t.Errorf("beside us: %q, %v", got, err)
		}
	}
}
