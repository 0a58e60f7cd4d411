package man

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// pages are all manual pages.
func pages(t *testing.T) (list []string) {
	t.Helper()
	for _, pattern := range []string{"man/*.[1-9]", "c/*.[1-9]", "unlinkwait/*.[1-9]"} {
		found, err := filepath.Glob(testbed.Source("contrib", filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages %s: %v", pattern, err)
		}
		list = append(list, found...)
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLint: mandoc has nothing to say about a page, not even about its style. Whether a page that one refers to is installed
// is none of its business.
func TestLint(t *testing.T) {
	mandoc := testbed.Program(t, "mandoc")
	for _, page := range pages(t) {
		cmd := exec.Command(mandoc, "-T", "lint", "-W", "all", page)
		out, err := cmd.Output() // on stderr it says that its index of the installed ones is old
		var said []string
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "referenced manual not found") {
				said = append(said, line)
			}
		}
		if status := cmd.ProcessState.ExitCode(); len(said) > 0 || err != nil && status != 1 { // 1: something about the style
			t.Errorf("%s: %v\n%s", page, err, strings.Join(said, ""))
		}
	}
}

// TestReferences: the pages of supervise's that one refers to are there.
func TestReferences(t *testing.T) {
	all := pages(t)
	for _, page := range all {
		for _, ref := range regexp.MustCompile(`(?m)^\.Xr (supervise\S*) (\d)`).FindAllStringSubmatch(read(t, page), -1) {
			if !slices.ContainsFunc(all, func(p string) bool { return filepath.Base(p) == ref[1]+"."+ref[2] }) {
				t.Errorf("%s refers to %s(%s), which is not there", page, ref[1], ref[2])
			}
		}
	}
}

// TestSession: the session in supervise-serve(7) goes as it is written there.
func TestSession(t *testing.T) {
	_, text, _ := strings.Cut(read(t, testbed.Source("contrib", "man", "supervise-serve.7")), "A session,")
	_, text, _ = strings.Cut(text, ".Bd -literal\n")
	text, _, _ = strings.Cut(text, ".Ed\n")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\n    ", ""), `\e`, `\`)
	var steps []testbed.Step
	for line := range strings.Lines(text) {
		arrow, message, _ := strings.Cut(line, " ")
		step := testbed.Step{Number: len(steps) + 1}
		into := map[string]*map[string]any{`\(->`: &step.Send, `\(<-`: &step.Expect}[arrow]
		if into == nil {
			t.Fatalf("a line without an arrow: %q", line)
		}
		if err := json.Unmarshal([]byte(message), into); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		steps = append(steps, step)
	}
	ended := 0
	steps = append(steps, testbed.Step{Number: len(steps) + 1, End: &ended})
	if len(steps) < 10 {
		t.Fatalf("only %d lines", len(steps))
	}
	if err := testbed.Replay(serve(t), "", steps); err != nil {
		t.Fatal(err)
	}
}

// serve starts a server.
func serve(t *testing.T) testbed.Peer {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "supervise"), "serve")
	cmd.Stderr = os.Stderr
	in, out := testbed.StartPiped(t, cmd)
	return testbed.Peer{
		Say:   func(text string) { io.WriteString(in, text) },
		Line:  outputFirst(bufio.NewReader(out)),
		Close: func() { in.Close() },
		Wait: func() int {
			cmd.Wait()
			return cmd.ProcessState.ExitCode()
		},
	}
}

// outputFirst reads lines, and holds exited back until ended comes: output may be told before it or after.
func outputFirst(r *bufio.Reader) func() (string, error) {
	var exited, next string
	return func() (line string, err error) {
		if next != "" {
			line, next = next, ""
			return line, nil
		}
		for {
			line, err = r.ReadString('\n')
			switch {
			case err == nil && strings.Contains(line, `"method":"exited"`):
				exited = line
			case exited != "" && (err != nil || strings.Contains(line, `"method":"ended"`)):
				line, next, exited = exited, line, ""
				return line, nil
			default:
				return line, err
			}
		}
	}
}
