package report

import (
	"slices"
	"strings"
	"testing"
)

// TestParse: flags and files come in any order, and behind "--" all are files.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		line   string
		files  string
		output string
		before string
		format Format
		err    string
	}{
		{line: "a b -o c", files: "a b", output: "c"},
		{line: "-o c a b", files: "a b", output: "c"},
		{line: "a --output=c b", files: "a b", output: "c"},
		{line: "- --text", files: "-", format: Text},
		{line: "--before x a --before=y --svg", files: "a", before: "x y", format: SVG},
		{line: "a -- -o --text", files: "a -o --text"},
		{line: "-- --", files: "--"},
		{line: "--before - -", err: "standard input (-) is either"},
		{line: "--before=- a", files: "a", before: "-"},
		{line: "a --nothing", err: "no flag --nothing"},
		{line: "a -o", err: "needs a value"},
		{line: "--text=yes", err: "takes no value"},
	} {
		c, files, err := Parse(strings.Fields(test.line))
		if test.err != "" || err != nil {
			if err == nil || test.err == "" || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v", test.line, err)
			}
			continue
		}
		if !slices.Equal(files, strings.Fields(test.files)) || c.Output != test.output || strings.Join(c.Before, " ") != test.before || c.Format != test.format {
			t.Errorf("%s: %q, %+v", test.line, files, c)
		}
	}
}
