package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// foulName clears a terminal of 7 bits and one of 8, turns the direction of text, and is no UTF-8. As that of a program it
// fits into 15 bytes.
const foulName = "\x1b[2J\u009b\u202e\xff"

// wantPrintable checks that text for people has the name in it, and nothing that a terminal obeys.
func wantPrintable(t *testing.T, what, text string) {
	t.Helper()
	moves := func(r rune) bool {
		return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}
	if strings.ContainsFunc(text, moves) || !utf8.ValidString(text) || !strings.Contains(text, `\x1b[2J\u009b\u202e\xff`) {
		t.Errorf("%s: %q", what, text)
	}
}

// TestPrintable: names of programs, arguments and leftovers reach people escaped.
func TestPrintable(t *testing.T) {
	b := newBox(t)
	program := filepath.Join(b.dir, foulName)
	sleep := testbed.Program(t, "sleep")
	data, err := os.ReadFile(sleep)
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for what, argv := range map[string][]string{
		"no program": {"run", "--", "./" + foulName}, "no flag": {"run", "--" + foulName}, "no flag of serve": {"serve", "-" + foulName}, "no flag of doctor": {"doctor", "--" + foulName},
		"no command": {foulName}, "no help": {"help", foulName}, "no record": {"run", "--record=/" + foulName + "/x", "--", "true"},
		"summary": {"run", "--summary", "--", "true", foulName},
	} {
		o := b.start(launch{argv: append([]string{bin.supervise}, argv...)}).wait()
		wantPrintable(t, what, o.stderr)
	}
	for _, name := range []string{"supervise-scope", "supervise-oci", "supervise-report"} {
		o := b.start(launch{argv: []string{filepath.Join(filepath.Dir(bin.supervise), name), "--" + foulName}}).wait()
		wantPrintable(t, name, o.stderr)
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, flag := range []string{"--leftovers=fail", "--summary"} {
			b := newBox(t)
			o := b.start(b.run(c, []string{flag}, sh(`"$0" 1000 &`+untilExec, program)...)).wait()
			wantPrintable(t, flag, o.stderr)
		}
	})
}

// TestDoctorPrintable: the name of our own cgroup reaches people escaped.
func TestDoctorPrintable(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	g, err := makeGroup(b.group.file(foulName))
	if err != nil {
		t.Fatal(err)
	}
	defer g.destroy()
	o := b.start(launch{argv: sh(`echo 0 >"$0/cgroup.procs" && exec "$1" doctor`, g.path, bin.supervise)}).wait()
	if o.code > 1 {
		t.Errorf("status %d, stderr %q", o.code, o.stderr)
	}
	wantPrintable(t, "doctor", o.stdout)
}
