package doctor

import (
	"encoding/json"
	"strings"
	"testing"
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
	for _, none := range []string{`{}`, `{"roads":null,"unit":"","error":""}`} {
		if bus, err := parseProbe([]byte(none)); err != nil || bus.Roads == nil || bus.Unit != nil || bus.Error != nil {
			t.Errorf("%s: %+v, %v", none, bus, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"roads":1}`, `{"roads":[]`, "panic: x"} {
		if bus, err := parseProbe([]byte(bad)); err == nil || bus.Roads == nil {
			t.Errorf("%q: %+v, %v", bad, bus, err)
		}
	}
}

// FuzzParseProbe: every accepted answer can be printed as text and as JSON.
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
