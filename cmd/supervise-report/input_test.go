package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

const (
	recordText = `{"schema":"supervise.record/1","argv":["true"],"started":"2026-11-29T08:00:00Z","wall_s":1,"cause":"exited","exit":{"code":0}}`
	sampleText = `{"time":"2026-11-29T08:00:00.5Z","wall_s":0.5,"cpu":{"total_s":0.25},"memory":{},"io":{},"pids":null,"pressure":{"cpu":{},"memory":{},"io":{}}}`
)

// TestParse: what a file may have, and what is said of one that is wrong.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text    string
		jobs, samples int
		err           string // a part of the error
		note          string // a part of what is said besides
	}{
		{name: "one", text: recordText, jobs: 1},
		{name: "indented", text: strings.ReplaceAll(recordText, ",", ",\n\t"), jobs: 1},
		{name: "one a line", text: recordText + "\n" + recordText + "\n", jobs: 2},
		{name: "without a line between", text: recordText + recordText, jobs: 2},
		{name: "array", text: "[" + recordText + ",\n" + recordText + "]", jobs: 2},
		{name: "arrays", text: "[" + recordText + "]\n[]\n[" + recordText + "]", jobs: 2},
		{name: "with samples", text: recordText + "\n" + sampleText, jobs: 1, samples: 1},
		{name: "samples alone", text: sampleText + "\n" + sampleText, jobs: 1, samples: 2},
		{name: "server", text: `{"jsonrpc":"2.0","id":1,"result":{}}` + "\n" + `{"jsonrpc":"2.0","method":"ended","params":{"job":1,"record":` + recordText + `}}`, jobs: 1},
		{name: "other order", text: `{"cause":"exited",` + strings.TrimPrefix(recordText, "{"), jobs: 1},
		{name: "cut sample", text: sampleText + "\n" + sampleText[:30], jobs: 1, samples: 1, note: "middle of a sample"},
		{name: "empty", text: "", err: "no record and no sample"},
		{name: "cut record", text: recordText + "\n\n" + recordText[:50], err: "file:3: the text ends in the middle"},
		{name: "open array", text: "[" + recordText, err: "the text ends in the middle"},
		{name: "no JSON", text: recordText + "\n" + recordText + "\nhello", err: "file:3: this is no JSON"},
		{name: "broken within", text: "{\n\"schema\":\n:1}", err: "file:3: this is no JSON"},
		{name: "broken array", text: "[1 2]", err: "this is no JSON"},
		{name: "another object", text: `{"a":1}`, err: "file:1: neither a record nor a sample"},
		{name: "a number", text: "\n1", err: "file:2: neither"},
		{name: "newer", text: `{"schema":"supervise.record/2"}`, err: `"supervise.record/2", and this program reads "supervise.record/1"`},
		{name: "wrong type", text: recordText + "\n" + strings.Replace(recordText, `["true"]`, `7`, 1), err: "file:2: argv is a number"},
		{name: "without start", text: `{"schema":"supervise.record/1"}`, err: "time of its start"},
		{name: "no time", text: strings.Replace(recordText, `"wall_s":1`, `"wall_s":-1`, 1), err: "wall_s is -1"},
		{name: "huge", text: strings.Replace(recordText, `"wall_s":1`, `"wall_s":1e300`, 1), err: "wall_s is 1e+300"},
		{name: "ended without record", text: `{"jsonrpc":"2.0","method":"ended","params":{"job":1}}`, err: "ended without a record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := readAll([]string{file}, nil)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v instead of %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			samples := 0
			for _, j := range in.jobs {
				samples += j.samples
			}
			if len(in.jobs) != test.jobs || samples != test.samples {
				t.Errorf("%d jobs, %d samples", len(in.jobs), samples)
			}
			if notes := strings.Join(in.notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
				t.Errorf("it says %q", notes)
			}
		})
	}
}

// TestDirectory: all files of a directory are read that are called as JSON is, each once; others are left out, and said.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": recordText, "b/c.jsonl": recordText + recordText, "package.json": `{"name":"x"}`, "d.txt": "hello", "e": recordText,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "a.json"), filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	in, err := readAll([]string{dir, filepath.Join(dir, "link.json"), "-"}, strings.NewReader(recordText))
	if err != nil {
		t.Fatal(err)
	}
	if len(in.jobs) != 4 {
		t.Errorf("%d jobs", len(in.jobs))
	}
	if len(in.notes) != 1 || !strings.Contains(in.notes[0], "package.json") {
		t.Errorf("notes: %q", in.notes)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll([]string{dir}, nil); err == nil || !strings.Contains(err.Error(), "z.json:1: ") {
		t.Errorf("of a broken file: %v", err)
	}
}

// readData reads files of testdata.
func readData(t testing.TB, names ...string) []*job {
	t.Helper()
	for i, name := range names {
		names[i] = filepath.Join("testdata", name)
	}
	in, err := readAll(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in.jobs
}

// named is the job of a label.
func named(t testing.TB, jobs []*job, label string) *job {
	t.Helper()
	i := slices.IndexFunc(jobs, func(j *job) bool { return j.label == label })
	if i < 0 {
		t.Fatalf("no job %q", label)
	}
	return jobs[i]
}

// TestMatch: samples find their record by time, then by the name of the file, and by the number that a server gave the job.
func TestMatch(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(text, start string) string { return strings.ReplaceAll(text, "08:00:0", start) }
	named := func(name string) string { return strings.Replace(recordText, `["true"]`, `["`+name+`"]`, 1) }
	write("a.json", at(named("a"), "08:00:0"))
	write("b.json", at(named("b"), "08:00:0"))                                                      // at the same time
	write("c.json", at(named("c"), "08:00:1"))                                                      // at another
	write("b.samples.jsonl", sampleText+sampleText)                                                 // of b
	write("other.jsonl", at(sampleText, "08:00:1"))                                                 // of c
	write("nobody.jsonl", at(sampleText, "08:30:1"))                                                // of no record
	write("late.jsonl", strings.Replace(sampleText, `0.5Z","wall_s":0.5`, `9.5Z","wall_s":9.5`, 1)) // of a job that ran longer
	in, err := readAll([]string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, j := range in.jobs {
		got[j.label] = j.samples
	}
	want := map[string]int{"a": 0, "b": 2, "c": 1, "nobody": 1, "late": 1}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for label, n := range want {
		if got[label] != n {
			t.Errorf("%s has %d samples instead of %d", label, got[label], n)
		}
	}
	served := readData(t, "serve.jsonl")[0]
	if served.samples != 2 || len(served.commands) != 2 {
		t.Errorf("of a server: %d samples, %d commands", served.samples, len(served.commands))
	}
}

// TestMatchDots: names of files may have dots, as those of the tasks of a batch system. The same name says more than the time.
func TestMatchDots(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text, start string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "08:00:00", start)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	called := func(name string) string { return strings.Replace(recordText, `["true"]`, `["`+name+`"]`, 1) }
	more := sampleText + strings.ReplaceAll(sampleText, "0.5", "0.6")
	sample := strings.Replace(sampleText, ".5Z", ".540Z", 1) // begins 40 ms after that of the first task
	write("7.0.0.json", called("first"), "08:00:00")
	write("7.0.1.json", strings.Replace(called("second"), "00Z", "00.050Z", 1), "08:00:00")
	write("7.0.0.jsonl", sample, "08:00:00") // nearer to the second one
	write("7.0.1.jsonl", more, "08:00:00")   // nearer to the first one
	in, err := readAll([]string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first, second := named(t, in.jobs, "first"), named(t, in.jobs, "second"); first.samples != 1 || second.samples != 2 {
		t.Errorf("%d and %d samples", first.samples, second.samples)
	}
}

// TestMatchMany: of thousands of jobs that started within a second each has its samples, and not each pair of them is kept.
func TestMatchMany(t *testing.T) {
	const jobs = 3000
	in := &input{}
	start := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	for i := range jobs {
		began := start.Add(time.Duration(i) * 100 * time.Microsecond)
		in.add(place{file: "records.json"}, decoded{record: &protocol.Record{Started: protocol.Time{Time: began}, WallS: 1}})
		in.add(place{file: fmt.Sprintf("%d.jsonl", i)}, decoded{sample: &sample{point: point{at: 0.5}, started: began}})
	}
	if took := allocated(in.match); took > 100<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
	if len(in.jobs) != jobs {
		t.Errorf("%d jobs", len(in.jobs))
	}
	for _, j := range in.jobs {
		if j.samples != 1 {
			t.Fatalf("a job has %d samples", j.samples)
		}
	}
}

// TestManySeries: a file may have the samples of very many jobs.
func TestManySeries(t *testing.T) {
	const jobs = 200000
	in := &input{}
	start := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	before := time.Now()
	for i := range jobs {
		in.add(place{file: "all.jsonl"}, decoded{sample: &sample{point: point{at: 0.5}, started: start.Add(time.Duration(i) * 5 * time.Second)}})
	}
	if took := time.Since(before); len(in.series) != jobs || took > time.Minute {
		t.Errorf("%d series in %v", len(in.series), took)
	}
}

// allocated is how many bytes a function has allocated.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestNest: a job in another is known by its cgroup.
func TestNest(t *testing.T) {
	jobs := readData(t, "odd.json")
	inner := named(t, jobs, "tests")
	if inner.parent == nil || inner.parent.label != "build" || inner.depth != 1 {
		t.Errorf("tests is in %v", inner.parent)
	}
	for _, j := range jobs {
		if j != inner && j.depth != 0 {
			t.Errorf("%s is in %s", j.label, j.parent.label)
		}
	}
}

// TestThin: fewer points lose no total and no peak.
func TestThin(t *testing.T) {
	j := readData(t, "make.json", "make.jsonl")[0]
	if j.samples != 94 || j.peak == nil {
		t.Fatalf("%d samples, peak %v", j.samples, j.peak)
	}
	few := thin(j.points, 10)
	if len(few) > 10 || few[len(few)-1].cpu != j.points[len(j.points)-1].cpu {
		t.Errorf("%d points; the last has %v", len(few), few[len(few)-1])
	}
	if !slices.ContainsFunc(few, func(p point) bool { return p.current == j.peak.current }) {
		t.Error("the peak is lost")
	}
}

// TestOutcome: each end in a few words.
func TestOutcome(t *testing.T) {
	code := func(n int) *protocol.Exit { return &protocol.Exit{Code: &n} }
	name := "SIGSEGV"
	yes := true
	for want, r := range map[string]protocol.Record{
		"ok":                 {Cause: protocol.CauseExited, Exit: code(0)},
		"exit 3":             {Cause: protocol.CauseExited, Exit: code(3)},
		"ok, OOM kill in it": {Cause: protocol.CauseExited, Exit: code(0), OOMKilled: &yes},
		"SIGSEGV":            {Cause: protocol.CauseSignaled, Exit: &protocol.Exit{Signal: &name}},
		"timeout":            {Cause: protocol.CauseTimeout},
		"cpu timeout":        {Cause: protocol.CauseCPUTimeout},
		"out of memory":      {Cause: protocol.CauseOOM},
		"start failed":       {Cause: protocol.CauseStartFailed},
		"not known":          {},
		`a\x1bb`:             {Cause: "a\x1bb"},
	} {
		if got, _ := (&job{Record: &r}).outcome(); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}
