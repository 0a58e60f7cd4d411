package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/seed-c1490a04/supervise/protocol"
)

// cutOff lists texts of which a part is not seen: in an element that hides what does not fit, beyond the edge of the window or
// of a chart, or under another text of the same chart.
const cutOff = `(() => {
	const said = [];
	const name = (e) => e.tagName + ' ' + JSON.stringify((e.textContent || '').trim().slice(0, 60));
	if (document.documentElement.scrollWidth > innerWidth + 1) said.push('the page is ' + document.documentElement.scrollWidth + ' wide');
	for (const e of document.querySelectorAll('body *')) {
		const style = getComputedStyle(e);
		if (/hidden|clip/.test(style.overflowX) && !(e instanceof SVGElement) && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1) said.push('hidden in ' + name(e));
	}
	for (const svg of document.querySelectorAll('svg')) {
		const frame = svg.getBoundingClientRect();
		if (frame.width === 0) continue;
		const boxes = [];
		for (const text of svg.querySelectorAll('text')) {
			const r = text.getBoundingClientRect();
			if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 2) said.push('beyond its chart: ' + name(text));
			const covers = boxes.find((o) => Math.min(o.r.right, r.right) - Math.max(o.r.left, r.left) > 1 && Math.min(o.r.bottom, r.bottom) - Math.max(o.r.top, r.top) > 4);
			if (covers) said.push(name(text) + ' lies on ' + name(covers.text));
			boxes.push({ r, text });
		}
	}
	return said;
})()`

// charts counts the charts that are seen.
const charts = `[...document.querySelectorAll('svg')].filter((e) => e.getBoundingClientRect().width > 0).length`

// TestPages: each kind of page is whole at every width, in light and dark, and does nothing but be looked at.
func TestPages(t *testing.T) {
	pages := []struct {
		name string
		args []string
		seen []string // texts
	}{
		{"job", []string{data("make.json"), data("make.jsonl")}, []string{"make -j8 all", "out of memory", "compile", "throttled", "Most memory at"}},
		{"jobs", []string{data("before.jsonl")}, []string{"30 jobs", "Distributions", "waiting for CPU"}},
		{"odd", []string{data("odd.json"), data("serve.jsonl")}, []string{"9 jobs", "tests", "SIGSEGV", `\u202e`}},
		{"all", []string{data("odd.json"), data("serve.jsonl"), data("make.json"), data("make.jsonl"), data("before.jsonl")}, []string{"40 jobs", "These are 24 of 40 jobs"}},
		{"compared", []string{"--before", data("before.jsonl"), data("after.jsonl")}, []string{"30 jobs before, 30 after", "Change"}},
		{"compared-job", []string{"--before", data("make.json"), "--before", data("make.jsonl"), data("make.json"), data("make.jsonl")}, []string{"make -j8 all, before and after", "Job by job"}},
	}
	b := startBrowser(t)
	for _, p := range pages {
		b.open(report(t, p.args...))
		text := ask[string](b, `document.body.innerText`)
		for _, want := range p.seen {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not seen", p.name, want)
			}
		}
		colours := map[string]bool{}
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{380, 740, 1000, 1400} {
				b.size(width, scheme)
				ask[bool](b, `document.querySelectorAll('details').forEach((d) => { d.open = true; }), true`)
				what := fmt.Sprintf("%s, %s, %d", p.name, scheme, width)
				for _, said := range ask[[]string](b, cutOff) {
					t.Errorf("%s: %s", what, said)
				}
				if ask[int](b, charts) == 0 {
					t.Errorf("%s: no chart is seen", what)
				}
				if width != 740 {
					b.shoot(fmt.Sprintf("%s-%s-%d", p.name, scheme, width))
				}
			}
			colours[ask[string](b, `getComputedStyle(document.body).backgroundColor`)] = true
		}
		b.paper()
		for _, said := range ask[[]string](b, cutOff) {
			t.Errorf("%s, on paper: %s", p.name, said)
		}
		b.shoot(p.name + "-paper")
		if len(colours) != 2 {
			t.Errorf("%s: light and dark are %v", p.name, colours)
		}
		b.quiet(p.name)
	}
}

// column is what a column of the table has, from the top.
func (b *browser) column(n int) []string {
	b.t.Helper()
	return ask[[]string](b, fmt.Sprintf(`[...document.querySelectorAll('#jobs tbody tr')].map((r) => r.cells[%d].textContent)`, n))
}

// TestTable: a click sorts the table, another one turns it round, and what is not known stays at the end; the filter leaves what
// it should, and a link opens the section of its job.
func TestTable(t *testing.T) {
	b := startBrowser(t)
	b.open(report(t, data("before.jsonl")))
	byStart := b.column(0)
	click := func(n int) []string {
		b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf(`#jobs th:nth-child(%d) button`, n+1))))
		return b.column(0)
	}
	byName := click(0)
	if !slices.IsSorted(byName) || slices.Equal(byName, byStart) {
		t.Errorf("by name: %q", byName)
	}
	turned := click(0)
	slices.Reverse(turned)
	if !slices.Equal(turned, byName) {
		t.Errorf("turned round: %q", turned)
	}
	longest := click(3)
	if got := ask[string](b, `document.querySelector('th[aria-sort]').textContent + document.querySelector('th[aria-sort]').ariaSort`); got != "Timedescending" {
		t.Errorf("the sorted column is %q", got)
	}
	values := recordsOf(t, data("before.jsonl"))
	slices.SortStableFunc(values, func(x, y *protocol.Record) int { return -compare(x.WallS, y.WallS) })
	for i, r := range values {
		if want := strings.Join(r.Argv, " "); longest[i] != want {
			t.Fatalf("row %d of the longest is %q instead of %q", i, longest[i], want)
		}
	}
	click(5) // of some the peak is not known
	if memory := b.column(5); memory[len(memory)-1] != "–" || memory[0] == "–" {
		t.Errorf("by memory: %q", memory)
	}
	b.do(chromedp.SendKeys(chromedp.CSS(`#filter`), "file7.c"))
	if left := b.column(0); len(left) != 1 || !strings.Contains(left[0], "file7.c") {
		t.Errorf("the filter leaves %q", left)
	}
	ask[bool](b, `(() => { const f = document.getElementById('filter'); f.value = ''; return f.dispatchEvent(new Event('input')); })()`)
	b.do(chromedp.Click(chromedp.CSS(`#jobs tbody a`)), chromedp.WaitVisible(chromedp.CSS(`details[open] .facts`)))
	b.quiet("the table")
}

func compare(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// recordsOf are the records of a file that has one a line.
func recordsOf(t *testing.T, file string) (list []*protocol.Record) {
	t.Helper()
	for line := range strings.Lines(read(t, file)) {
		r := new(protocol.Record)
		if err := protocol.Unmarshal([]byte(line), r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// TestThousands: 10,000 records take under two seconds of a processor, to make the page and to open it, and the page says what
// it does not show.
func TestThousands(t *testing.T) {
	b := startBrowser(t)
	records := filepath.Join(t.TempDir(), "many.jsonl")
	writeMany(t, records, 10_000)
	file := filepath.Join(t.TempDir(), "report.html")
	begun := time.Now()
	r := supervise(t, "", "report", records, "-o", file)
	made := time.Since(begun)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("status %d: %s", r.code, r.stderr)
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	call(b, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	begun = time.Now()
	b.open(file)
	opened, processor := time.Since(begun), b.processorSeconds()
	t.Logf("made in %.2f s (%.2f of a processor), opened in %.2f s (%.2f of a processor), %d KB", made.Seconds(), r.cpuSeconds, opened.Seconds(), processor, st.Size()>>10)
	if r.cpuSeconds > 2 {
		t.Errorf("to make the page took %.1f s of a processor", r.cpuSeconds)
	}
	if processor > 2 {
		t.Errorf("to open the page took %.1f s of a processor", processor)
	}
	text := ask[string](b, `document.body.innerText`)
	for _, want := range []string{"10,000 jobs", "60 longest of 10,000", "24 of 10,000 jobs", "200 of 10,000 jobs"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not seen", want)
		}
	}
	b.do(chromedp.Click(chromedp.CSS(`#jobs th:nth-child(4) button`)))
	if got := b.column(3)[0]; got != ask[string](b, `JSON.parse(document.getElementById('data').textContent).toSorted((x, y) => y.v[1] - x.v[1])[0].c[1]`) {
		t.Errorf("the longest of all is not the first, but one of %s", got)
	}
	b.do(chromedp.Click(chromedp.CSS(`button.more`)))
	if n := len(b.column(0)); n != 400 {
		t.Errorf("%d rows instead of 400", n)
	}
	for _, said := range ask[[]string](b, cutOff) {
		t.Errorf("%s", said)
	}
	b.size(1400, "light")
	b.shoot("thousands")
	b.quiet("10,000 jobs")
}

// writeMany writes records of as many jobs.
func writeMany(t *testing.T, file string, n int) {
	t.Helper()
	models := recordsOf(t, data("before.jsonl"))
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	defer w.Flush()
	for i := range n {
		r := *models[i%len(models)]
		r.Started.Time = r.Started.Add(time.Duration(i/len(models)) * 700 * time.Millisecond)
		r.Ended.Time = r.Started.Add(time.Duration(r.WallS * 1e9))
		r.WallS += float64(i) / 1e6
		if err := json.NewEncoder(w).Encode(&r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWithoutScript: a browser that runs no script shows the same page, but for what sorts.
func TestWithoutScript(t *testing.T) {
	b := startBrowser(t)
	file := filepath.Join(t.TempDir(), "plain.html")
	text := read(t, report(t, data("before.jsonl")))
	before, rest, found := strings.Cut(text, "<script>")
	_, behind, ends := strings.Cut(rest, "</script>")
	if !found || !ends {
		t.Fatal("the page has no script")
	}
	if err := os.WriteFile(file, []byte(before+behind), 0o644); err != nil {
		t.Fatal(err)
	}
	b.open(file)
	if n := len(b.column(0)); n != 30 {
		t.Errorf("%d rows instead of 30", n)
	}
	if n := ask[int](b, `[...document.querySelectorAll('button, input')].filter((e) => e.getBoundingClientRect().width > 0).length`); n > 0 {
		t.Errorf("%d controls that do nothing", n)
	}
	b.quiet("without the script")
}
