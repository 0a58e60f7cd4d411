package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Whatever a document has, what comes out is one line each; and a document written
// again says the same.
func FuzzDecode(f *testing.F) {
	documents, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range documents {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Decode(bytes.NewReader(text))
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		limits, err := Limits(r)
		if err != nil {
			oneLine(t, err.Error())
		}
		for _, l := range limits {
			oneLine(t, l.Name())
			oneLine(t, l.Value)
			if strings.ContainsAny(l.File, "/ \n\x00") || !strings.HasPrefix(l.File, l.Controller+".") && l.Controller != "" {
				t.Errorf("the file %q of %q", l.File, l.Controller)
			}
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		r2, err := Decode(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if limits2, _ := Limits(r2); !reflect.DeepEqual(limits, limits2) {
			t.Errorf("%s: %v, then %v", again, limits, limits2)
		}
	})
}

func oneLine(t *testing.T, s string) {
	t.Helper()
	if s == "" || strings.ContainsAny(s, "\n\x00") {
		t.Errorf("%q is not one line", s)
	}
}
