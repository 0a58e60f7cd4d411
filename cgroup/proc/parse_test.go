package proc

import (
	"strings"
	"testing"
)

func TestParseCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n":   "/",
		"0::/a/b":  "/a/b",
		"0::a\n":   "",
		"10::/a\n": "",
		"9:name=systemd:/x\n4:memory:/y\n0::/a b/c\n": "/a b/c",
		"0::/a (deleted)\n":                           "/a (deleted)",
		"4:memory:/y\n":                               "",
		"":                                            "",
	} {
		if got, ok := ParseCgroup([]byte(text)); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add([]byte("9:name=systemd:/x\n0::/user.slice\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := ParseCgroup(text)
		if ok != strings.HasPrefix(got, "/") || strings.Contains(got, "\n") || ok && !strings.Contains(string(text), "0::"+got) {
			t.Errorf("got %q, %v", got, ok)
		}
	})
}

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string]int{
		"0\n": 1, "0-3\n": 4, "0-1,4,6-7": 5, "0 2-3": 3, "": 0, "0-65535": 65536,
		"x": -1, "3-1": -1, "0-": -1, "-1": -1, "0-65536": -1, "0-99999999999": -1, "1-2-3": -1,
	} {
		l, err := ParseCPUList(text)
		if got := l.Len(); got != max(want, 0) || (err != nil) != (want < 0) {
			t.Errorf("%q: %v, %d CPUs, %v", text, l, got, err)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		outer, inner string
		want         bool
	}{
		{"0-3", "1,3", true}, {"0-3", "", true}, {"", "0", false}, {"0-1,2-3", "1-2", true},
		{"0-3", "3-4", false}, {"1-3", "0-3", false}, {"0,2", "0-2", false},
	} {
		outer, err1 := ParseCPUList(tt.outer)
		inner, err2 := ParseCPUList(tt.inner)
		if err1 != nil || err2 != nil || outer.Covers(inner) != tt.want {
			t.Errorf("%s covers %s: %v", outer, inner, !tt.want)
		}
	}
}

// FuzzParseCPUList: what is read and written again is the same.
func FuzzParseCPUList(f *testing.F) {
	f.Add("0-3,8\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseCPUList(text)
		if err != nil {
			return
		}
		again, err := ParseCPUList(list.String())
		if err != nil || again.String() != list.String() || again.Len() != list.Len() {
			t.Errorf("%v, again %v, %v", list, again, err)
		}
	})
}
