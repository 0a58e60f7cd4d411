package integration

import (
	"encoding/json"
	"os"
	"testing"
)

// TestMarksAtTheEnd: what a job says with its last breath is a mark, though supervise hears of its end at the same time.
func TestMarksAtTheEnd(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	for range 30 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		l := b.run(inCgroup, []string{"--marks=fd:4"}, sh("echo load >&5; echo save >&5")...)
		l.extra = []*os.File{r, w}
		p := b.start(l)
		r.Close()
		w.Close()
		p.wait().wantCode(0)
		data, err := os.ReadFile(p.record)
		if err != nil {
			t.Fatal(err)
		}
		var record struct{ Phases []struct{ Name string } }
		if err := json.Unmarshal(data, &record); err != nil {
			t.Fatal(err)
		}
		if n := record.Phases; len(n) != 3 || n[0].Name != "" || n[1].Name != "load" || n[2].Name != "save" {
			t.Fatalf("phases %+v, want the first, load, save", n)
		}
	}
}
