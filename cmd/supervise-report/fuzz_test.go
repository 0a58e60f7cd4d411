package main

import "testing"

// FuzzReport: whatever a file has, it is refused, or makes a page, a picture and a text that are well-formed and have
// nothing that a browser or a terminal would obey.
func FuzzReport(f *testing.F) {
	f.Add([]byte(recordText + sampleText))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &input{}
		if err := in.parse("file", b, false); err != nil || len(in.jobs)+len(in.series) == 0 {
			return
		}
		in.match()
		text, err := newPage(in.jobs, nil, in.notes).html()
		if err != nil {
			t.Fatal(err)
		}
		checkPage(t, text)
		checkXML(t, picture(in.jobs, in.jobs))
		checkText(t, forTerminal(in.jobs, nil, 80))
		checkText(t, forTerminal(in.jobs, in.jobs, 80))
	})
}
