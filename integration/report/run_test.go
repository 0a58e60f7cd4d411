package report

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"github.com/seed-c1490a04/supervise/protocol"
)

// haveCgroup skips the test where jobs are held by descent: then there are no samples.
func haveCgroup(t *testing.T) {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "supervise"), "doctor").Output()
	if err == nil && !strings.Contains(string(out), "cgroup") {
		err = fmt.Errorf("doctor says %s", out)
	}
	testbed.Need(t, "a cgroup for jobs", err)
}

// sampled runs a job with samples and phases, and returns its files.
func sampled(t *testing.T, dir, name string, flags ...string) (record, samples string) {
	t.Helper()
	record, samples = filepath.Join(dir, name+".json"), filepath.Join(dir, name+".jsonl")
	args := append([]string{"run", "--record", record, "--samples", samples, "--sample", "20ms", "--marks", "fd:3", "--name", name}, flags...)
	// Each phase takes processor time that samples see, and then says that the next one begins.
	work := `busy() { i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; }; busy; echo compile >&4; busy; echo link >&4; busy`
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	cmd := exec.Command(filepath.Join(bin, "supervise"), append(args, "--", "sh", "-c", work)...)
	cmd.ExtraFiles = []*os.File{read, write}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", cmd.Args, err, out)
	}
	return record, samples
}

// TestRealJob: what supervise has recorded of a job is on its page, with its phases.
func TestRealJob(t *testing.T) {
	haveCgroup(t)
	record, samples := sampled(t, t.TempDir(), "build")
	if n := strings.Count(read(t, samples), "\n"); n < 2 {
		t.Fatalf("%d samples", n)
	}
	page := read(t, report(t, record, samples))
	for _, want := range []string{"<h1>build</h1>", "compile", "link", "processors in use", "Phases"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	text := supervise(t, "", "report", "--text", record, samples)
	if text.code != 0 || !strings.Contains(text.stdout, "▏compile") || !strings.Contains(text.stdout, "CPU") {
		t.Errorf("status %d: %s%s", text.code, text.stdout, text.stderr)
	}
	b := startBrowser(t)
	file := report(t, record, samples)
	for _, width := range []int{380, 1400} {
		b.open(file)
		b.size(width, "light")
		for _, said := range ask[[]string](b, cutOff) {
			t.Errorf("%d: %s", width, said)
		}
	}
	b.shoot("real")
	b.quiet("a real job")
}

// TestRealLimit: the limit of a job, and how much of it was used, are in the report.
func TestRealLimit(t *testing.T) {
	dir := t.TempDir()
	testbed.NeedMemoryLimit(t, bin)
	record, samples := sampled(t, dir, "limited", "--memory-max", "64M")
	page := read(t, report(t, record, samples))
	for _, want := range []string{"of 64.0M", "--memory-max 64M", "page cache"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// TestRealRuns: a build of several jobs in one, before and after, from files that jobs were appended to and from directories.
func TestRealRuns(t *testing.T) {
	dir := t.TempDir()
	for _, run := range []string{"before", "after"} {
		into := filepath.Join(dir, run)
		if err := os.Mkdir(into, 0o700); err != nil {
			t.Fatal(err)
		}
		appended, err := os.Create(filepath.Join(into, "compilers.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		build := `for i in 1 2 3; do "$0" run --record fd:3 --name "cc $i.c" -- true & done; wait`
		exe := filepath.Join(bin, "supervise")
		cmd := exec.Command(exe, "run", "--record", filepath.Join(into, "make.json"), "--name", "make", "--", "sh", "-c", build, exe)
		cmd.ExtraFiles = []*os.File{appended}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		appended.Close()
	}
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	r := supervise(t, "", "report", "--text", "--before", before, after)
	for _, want := range []string{"before: 4 jobs", "after:  4 jobs", "cc 1.c", "cc 3.c", "make", "CHANGE"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%q is not in %s%s", want, r.stdout, r.stderr)
		}
	}
	all := supervise(t, "", "report", "--text", after)
	nested := strings.Contains(all.stdout, "\n cc 1.c") // indented
	if make := recordAt(t, filepath.Join(after, "make.json")); (make.Containment == protocol.ContainmentCgroup) != nested {
		t.Errorf("held by %s, and indented: %t\n%s", make.Containment, nested, all.stdout)
	}
}

// recordAt is the record of a file.
func recordAt(t *testing.T, file string) *protocol.Record {
	t.Helper()
	r := new(protocol.Record)
	if err := protocol.Unmarshal([]byte(read(t, file)), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestServed: the lines that a server said are input as they are.
func TestServed(t *testing.T) {
	said := supervise(t, `{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}
{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["true"],"name":"served"}}
`, "serve")
	r := supervise(t, said.stdout, "report", "--text", "-")
	if r.code != 0 || !strings.Contains(r.stdout, "served") {
		t.Errorf("status %d: %s%s, from %s", r.code, r.stdout, r.stderr, said.stdout)
	}
}

// TestMisused: one clear line, and no file that is half written.
func TestMisused(t *testing.T) {
	dir := t.TempDir()
	broken, out := filepath.Join(dir, "broken.json"), filepath.Join(dir, "out.html")
	if err := os.WriteFile(broken, []byte(read(t, data("before.jsonl"))+"{\"schema\": \x1b[2J\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, code := range map[string]int{
		"": 2, "--no-such": 2, "-o": 2, broken + " -o " + out: 125, dir + "/none -o " + out: 125,
		data("make.json") + " -o /dev/full": 125, data("make.json") + " -o " + dir + "/none/a": 125,
	} {
		r := supervise(t, "", append([]string{"report"}, strings.Fields(line)...)...)
		if r.code != code || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "supervise-report: ") || strings.Contains(r.stderr, "\x1b") {
			t.Errorf("%q: status %d instead of %d: %q", line, r.code, code, r.stderr)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("it left %v", list)
	}
	help := supervise(t, "", "help", "report")
	if help.code != 0 || !strings.HasPrefix(help.stdout, "usage: supervise report") {
		t.Errorf("status %d: %s", help.code, help.stdout)
	}
}
