package protocol

import "unicode/utf8"

// UnfinishedText is how many bytes at the end of some output, 0 to 3, may be the first ones
// of a character whose rest is still to come.
func UnfinishedText(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// TextOrData returns output as text, if that is wanted and it is UTF-8, or as it is. The
// data is b itself.
func TextOrData(b []byte, wanted bool) (data []byte, text *string) {
	if wanted && utf8.Valid(b) {
		return nil, new(string(b))
	}
	return b, nil
}
