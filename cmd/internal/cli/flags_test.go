package cli

import (
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"abc", "xabc", 1},
		{"abc", "acb", 2},
		{"kitten", "sitting", 3},
		{"--timeout", "--name", 5},
	}
	for _, tt := range tests {
		if got, back := distance(tt.a, tt.b), distance(tt.b, tt.a); got != tt.want || back != tt.want {
			t.Errorf("distance(%q, %q) = %d and %d, want %d", tt.a, tt.b, got, back, tt.want)
		}
	}
}

// words is what the flags of the tests set.
type words struct{ text, more string }

var table = Flags[words]{
	Command: "cmd", Hint: "see help",
	List: func() []Flag[words] {
		return []Flag[words]{
			{Name: "text", Short: "-t", Set: func(w *words, v string) error { w.text = v; return NotEmpty(v) }},
			{Name: "loud", Switch: true, Set: func(w *words, _ string) error { w.text += "!"; return nil }},
			{Name: "size", Optional: true, Set: func(w *words, v string) error { w.text += "size" + v; return nil }},
		}
	},
	More: func(name string) *Flag[words] {
		if name != "extra" {
			return nil
		}
		return &Flag[words]{Name: name, Set: func(w *words, v string) error { w.more = v; return nil }}
	},
	MoreNames: func() []string { return []string{"extra"} },
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args        []string
		want        words
		given, rest int
	}{
		{nil, words{}, 0, 0},
		{[]string{"x", "--text", "y"}, words{}, 0, 3},
		{[]string{"--text", "a", "x"}, words{text: "a"}, 2, 1},
		{[]string{"--text=a=b", "--loud"}, words{text: "a=b!"}, 2, 0},
		{[]string{"-t", "--", "--", "-t"}, words{text: "--"}, 2, 1},
		{[]string{"--extra", "1", "-"}, words{more: "1"}, 2, 1},
		{[]string{"--size", "1"}, words{text: "size"}, 1, 1},
		{[]string{"--size=1", "1"}, words{text: "size1"}, 1, 1},
	} {
		var got words
		given, rest, err := table.Parse(&got, tt.args)
		if err != nil || got != tt.want || len(slices.Concat(given...)) != tt.given || len(rest) != tt.rest {
			t.Errorf("%q: %+v, given %q, rest %q, %v", tt.args, got, given, rest, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for want, args := range map[string][]string{
		"cmd: no flag --txt; did you mean --text?; see help":     {"--txt", "a"},
		"cmd: no flag -text; did you mean --text?; see help":     {"-text", "a"},
		"cmd: no flag --extr=1; did you mean --extra?; see help": {"--extr=1"},
		"cmd: no flag --=1; see help":                            {"--=1"},
		"cmd: --text needs a value":                              {"--text"},
		"cmd: --loud takes no value":                             {"--loud=yes"},
		`cmd: --text "": must not be empty`:                      {"--text="},
	} {
		if _, _, err := table.Parse(new(words), args); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

// TestDescriptor: an open descriptor is taken, and not inherited any more.
func TestDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd := int(w.Fd())
	unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	name := "fd:" + strconv.Itoa(fd)
	if got, err := Descriptor(name); got != fd || err != nil {
		t.Errorf("%s is %d, %v", name, got, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	w.Close()
	for _, bad := range []string{name, "", "3", "fd:", "fd:x", "fd:-1", "fd:9999999999"} {
		if got, err := Descriptor(bad); err == nil {
			t.Errorf("%q is %d", bad, got)
		}
	}
}
