package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
)

// TestText: the texts for a terminal.
func TestText(t *testing.T) {
	for name, text := range map[string]string{
		"job.txt":     forTerminal(readData(t, "make.json", "make.jsonl"), nil, 100),
		"jobs.txt":    forTerminal(readData(t, "odd.json", "serve.jsonl"), nil, 100),
		"narrow.txt":  forTerminal(readData(t, "odd.json"), nil, 60),
		"compare.txt": forTerminal(readData(t, "after.jsonl"), readData(t, "before.jsonl"), 80),
		"phases.txt":  forTerminal([]*job{named(t, readData(t, "odd.json"), `\x80\xff`)}, nil, 80),
	} {
		golden.Compare(t, name, text)
		checkText(t, text)
	}
}

// checkText: a text has nothing that a terminal would obey.
func checkText(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("the text has %U", r)
		}
	}
}

// TestHostileTexts: whichever text of a record has what a terminal obeys, no report has it.
func TestHostileTexts(t *testing.T) {
	const text = `{"schema":"supervise.record/1","version":"EVIL","name":"EVIL","argv":["EVIL"],"cgroup":"/EVIL","containment":"EVIL",
		"containment_reason":"EVIL","started":"2026-11-29T08:00:00Z","wall_s":1,"cause":"CAUSE","exit":{"code":null,"signal":"EVIL"},
		"oom_killed":true,"oom":{"by":"EVIL","cgroup":"EVIL","kills":18446744073709551615},"error":"EVIL","limits":[{"name":"EVIL","file":"EVIL",
		"value":"EVIL"}],"unenforced":[{"name":"EVIL","reason":"EVIL"}],"leftovers":[{"pid":1,"comm":"EVIL","argv":["EVIL"]}],"leftovers_total":1,
		"phases":[{"name":"EVIL","started":"2026-11-29T08:00:00Z","wall_s":0.5},{"name":"EVIL","started":"2026-11-29T08:00:00.5Z","wall_s":0.5}]}`
	for _, cause := range []string{"exited", "signaled", "oom", "EVIL"} {
		record := strings.ReplaceAll(strings.ReplaceAll(text, "CAUSE", cause), "EVIL", `\u001b[31m\u202e<script>`)
		in := &input{}
		message := `{"jsonrpc":"2.0","method":"ended","params":{"job":1,"record":` + record + `,"commands":[{"pid":1,"exit":{"signal":"\u001b[31m"}}]}}`
		if err := in.parse("\x1b", []byte(record+message), false); err != nil {
			t.Fatal(err)
		}
		in.match()
		for _, jobs := range [][]*job{in.jobs[:1], in.jobs[1:], in.jobs} {
			page, err := newPage(jobs, nil, nil).html()
			if err != nil {
				t.Fatal(err)
			}
			checkText(t, strings.ReplaceAll(page, "\t", ""))
			checkText(t, forTerminal(jobs, nil, 100))
			checkText(t, forTerminal(jobs, jobs, 100))
			if said := forTerminal(jobs[:1], nil, 100); strings.Contains(said, "-1 process") {
				t.Errorf("a number is negative:\n%s", said)
			}
		}
	}
}

// checkXML: a chart is well-formed, and has no script.
func checkXML(t *testing.T, svg string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the SVG is not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Fatal("the SVG has a script")
		}
	}
}

// checkPage: a page has the two scripts that it should have, and loads nothing.
func checkPage(t *testing.T, page string) {
	t.Helper()
	if n := strings.Count(page, "<script"); n != 1 && (n != 2 || !strings.Contains(page, `<script type="application/json"`)) {
		t.Errorf("the page has %d scripts", n)
	}
	if found := regexp.MustCompile(`(?i)<[^>]*\s(src|srcset|action|on[a-z]+)\s*=|url\(|@import|https?://[^w]`).FindString(page); found != "" {
		t.Errorf("the page has %q", found)
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page, -1) {
		checkXML(t, svg)
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page has NaN, or what the template refused")
	}
}

// TestPage: pages of all kinds are well-formed, and what names try is only shown.
func TestPage(t *testing.T) {
	for name, p := range map[string]*page{
		"job":     newPage(readData(t, "make.json", "make.jsonl"), nil, nil),
		"odd":     newPage(readData(t, "odd.json", "serve.jsonl"), nil, []string{"<b>a note</b>"}),
		"samples": newPage(readData(t, "make.jsonl"), nil, nil),
		"phases":  newPage([]*job{named(t, readData(t, "odd.json"), `\x80\xff`)}, nil, nil),
		"compare": newPage(readData(t, "after.jsonl"), readData(t, "odd.json"), nil),
	} {
		text, err := p.html()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkPage(t, text)
	}
}

// TestPicture: pictures of all kinds are well-formed.
func TestPicture(t *testing.T) {
	for _, svg := range []string{
		picture(readData(t, "make.json", "make.jsonl"), nil), picture(readData(t, "odd.json"), nil), picture(readData(t, "odd.json")[:1], nil),
		picture(readData(t, "after.jsonl"), readData(t, "before.jsonl")),
	} {
		checkXML(t, svg)
	}
}

// TestNotKnown: null is a dash, and no chart has it as zero.
func TestNotKnown(t *testing.T) {
	j := named(t, readData(t, "odd.json"), `\x80\xff`)
	for _, p := range panels(j, frameOf(j)) {
		if p.title != "CPU" && p.title != "Waiting" {
			t.Errorf("%s is drawn, and not known", p.title)
		}
	}
	var evil *job
	for _, j := range readData(t, "odd.json") {
		if strings.HasPrefix(j.label, "</script>") {
			evil = j
		}
	}
	for _, f := range jobFacts(evil) {
		if f.Name != "Outcome" && f.Name != "Time" && f.Name != "Processes" && f.Value != notKnown {
			t.Errorf("%s is %q", f.Name, f.Value)
		}
	}
	if shares := waitShares(evil); known(shares[0]) || known(shares[2]) {
		t.Errorf("it waited for %v", shares)
	}
}

// TestPeak: where it was, and what was running then.
func TestPeak(t *testing.T) {
	jobs := readData(t, "make.json", "make.jsonl", "odd.json")
	got := peakSentence(named(t, jobs, "make -j8 all"), jobs)
	for _, want := range []string{"Most memory at 61.0 s", "phase compile", "processes", "processors in use"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	served := readData(t, "serve.jsonl", "odd.json")
	if got := peakSentence(named(t, served, "pipe"), served); !strings.Contains(got, "beside it build, worker 0, worker 1") {
		t.Errorf("of one among others: %q", got)
	}
}

// TestRun: exit statuses, and files that are whole or not there.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "report.html")
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.html")
	if err := os.Symlink(broken, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status int
		args   []string
		said   string
	}{
		{0, []string{"testdata/make.json", "-o", out}, ""},
		{0, []string{"-o", out, "--svg", "--", "testdata/make.json"}, ""},
		{0, []string{"--help"}, ""},
		{2, []string{}, "no file"},
		{2, []string{"--no-such", "a"}, "no flag --no-such"},
		{2, []string{"a", "-o"}, "needs a value"},
		{2, []string{"a", "-o", ""}, "must not be empty"},
		{125, []string{"testdata/none.json", "-o", out}, "no such file"},
		{125, []string{broken, "-o", out}, "broken.json:1: "},
		{125, []string{"--before", broken, "testdata/make.json", "-o", out}, "before: "},
		{125, []string{"testdata/make.json", "-o", link}, "no regular file"},
		{125, []string{"testdata/make.json", "-o", dir}, "no regular file"},
		{125, []string{"testdata/make.json", "-o", filepath.Join(dir, "none", "a")}, "no such file"},
	} {
		var status int
		said := golden.Capture(t, 2, func() { golden.Capture(t, 1, func() { status = run(test.args) }) })
		if status != test.status || !strings.Contains(said, test.said) || test.said == "" && said != "" || strings.Count(said, "\n") > 1 {
			t.Errorf("%q: status %d, %q", test.args, status, said)
		}
	}
	if b, err := os.ReadFile(out); err != nil || !strings.HasPrefix(string(b), "<svg") {
		t.Errorf("the last report that was made is %.20q, %v", b, err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 {
		t.Errorf("there are %v", list)
	}
}

// TestHelp: no line is too long for a terminal.
func TestHelp(t *testing.T) {
	for line := range strings.Lines(helpText) {
		if len([]rune(line)) > 81 {
			t.Errorf("too long: %s", line)
		}
	}
}
