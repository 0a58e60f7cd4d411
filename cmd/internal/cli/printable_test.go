package cli

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"make -j8 'ü' 日本 é ❤️ $x":    "make -j8 'ü' 日本 é ❤️ $x", // e and a combining accent
		`a\x2db\`:                    `a\x2db\`,
		"\x1b[2J\x00\a\t\n\r\x7f":    `\x1b[2J\x00\a\t\n\r\x7f`,
		"\u009b2J\u0080\u0085":       `\u009b2J\u0080\u0085`,
		"\u202egpj.exe":              `\u202egpj.exe`,
		"\u200e\u200f\u061c":         `\u200e\u200f\u061c`,
		"\u2066a\u2069\u202a\u202c":  `\u2066a\u2069\u202a\u202c`,
		"\u200b\u200d\ufeff\u00ad":   `\u200b\u200d\ufeff\u00ad`,
		"\u2028\u2029\u00a0\u3000":   `\u2028\u2029\u00a0\u3000`,
		"\u3164\u115f\u034f":         `\u3164\u115f\u034f`, // letters and a mark that nobody sees
		"\U000e0041\ue000\U0010ffff": `\U000e0041\ue000\U0010ffff`,
		"\xff\x9b2J\xe2\x80":         `\xff\x9b2J\xe2\x80`,
		"\ufffd":                     "\ufffd", // what others have made of a byte
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzPrintable: nothing that moves a terminal is left, nothing printable is lost, and it is done once.
func FuzzPrintable(f *testing.F) {
	for _, text := range []string{"", "a b", "\x1b[m\u009b\u202e\xff", "\u2028\ufeff\\"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		if bad := strings.IndexFunc(got, moves); bad >= 0 || !utf8.ValidString(got) {
			t.Errorf("%q: %q", text, got)
		}
		if again := Printable(got); again != got {
			t.Errorf("%q: %q, then %q", text, got, again)
		}
		if strings.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError || !IsPrintable(r) }) < 0 && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func moves(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// TestComplainPrintable: no complaint reaches the terminal raw.
func TestComplainPrintable(t *testing.T) {
	err := errors.New("\x1b[2J\u009b31m\u202e\xff: not found")
	got := golden.Capture(t, 2, func() { (&Program{Name: "supervise"}).Complain(err) })
	if want := `supervise: \x1b[2J\u009b31m\u202e\xff: not found` + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
