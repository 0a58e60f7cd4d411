package cli

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsPrintable tells of a character that a terminal shows, and does nothing else with: a
// letter, mark, digit, sign or the blank. Control characters (C0, DEL, C1), what turns the
// direction of text or has no width, other blanks and line separators are none.
func IsPrintable(r rune) bool {
	return strconv.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// Printable returns a text that people may be shown. What is not printable in it, and
// bytes that are no UTF-8, are escaped as in Go and $'...' of shells: \x1b, \n, \u202e.
// A backslash stays one, so that names of systemd's stay as they are.
//
// Every text for people goes through it, since names of programs, files and cgroups are
// another's text. JSON, which is for programs, has the names as they are.
func Printable(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		one := text[:size]
		if isByte := r == utf8.RuneError && size == 1; isByte || !IsPrintable(r) {
			quoted := strconv.QuoteToASCII(one)
			one = quoted[1 : len(quoted)-1]
		}
		b.WriteString(one)
		text = text[size:]
	}
	return b.String()
}
