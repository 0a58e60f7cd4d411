package doctor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
	"github.com/seed-c1490a04/supervise/protocol"
)

// TestPlan: the plan of every shortcoming, which shells and shellcheck find nothing wrong with.
func TestPlan(t *testing.T) {
	var report bytes.Buffer
	for _, s := range situations() {
		d := made(s.chain...).with(s.make...)
		plan := d.plan()
		wantScript(t, s.name, plan)
		fmt.Fprintf(&report, "-- %s --\n%s\n", s.name, plan)
		for line := range strings.Lines(plan) {
			if strings.HasPrefix(line, "# ") && len(line) > screen+1 && !strings.HasPrefix(line, "#     ") {
				t.Errorf("%s: wider than the screen: %q", s.name, line)
			}
		}
	}
	golden.Compare(t, "doctor-plans.txt", report.String())
}

// wantScript checks the syntax of a script.
func wantScript(t *testing.T, name, script string) {
	t.Helper()
	// SC2016: a name with an expansion in it is not to be expanded.
	for _, checker := range [][]string{{"sh", "-n"}, {"bash", "-n"}, {"shellcheck", "-e", "SC2016", "-"}} {
		if _, err := exec.LookPath(checker[0]); err != nil {
			continue
		}
		c := exec.Command(checker[0], checker[1:]...)
		c.Stdin = strings.NewReader(script)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %s: %v: %s\n%s", name, checker[0], err, out, script)
		}
	}
}

// TestPlanNames: no name of this machine's gets out of its quotes, or out of a comment.
func TestPlanNames(t *testing.T) {
	names := []string{"a b", "a'b", "$(touch here)", "`touch here`", "a;b", "a\nb", "\x1b[2J", "EOF", "-x", "ä", "*", "a#b", "a%sb"}
	for _, name := range names {
		for _, d := range []*diagnosis{
			made(level("/"+name, 0, false, all, all)).with(refused),
			made(level("/"+name, 1000, true, all, all)).with(onRoad("shared")),
			made(level("/", 0, true, all, all), level("/"+name+".service", 0, true, "memory", "")).with(onRoad("shared"), systemd(true), as(0)),
			made(level("/", 0, true, all, all), level("/user@1000.service", 1000, true, all, all),
				level("/user@1000.service/"+name+".service", 1000, true, "memory", "")).with(onRoad("shared"), systemd(true)),
			made().with(refused, in(name)),
		} {
			plan := d.plan()
			if len(d.Fixes) == 0 {
				t.Errorf("%q: %s", name, plan)
			}
			wantScript(t, name, plan)
			wantNothingRun(t, plan)
		}
	}
}

// wantNothingRun has a shell in which each command but a few only prints its arguments run the plan, and looks for what a name
// would have done.
func wantNothingRun(t *testing.T, plan string) {
	t.Helper()
	const stub = `touch() { echo CAUGHT; }; b() { echo CAUGHT; }
for c in mkdir chown tee systemctl mount; do eval "$c() { :; }"; done
sudo() { [ "$1" != sh ] || eval "$(while IFS= read -r line; do printf '%s\n' "$line"; done)"; }
`
	c := exec.Command("/bin/bash", "-r", "-c", stub+plan) // restricted: no redirection to a file
	c.Dir, c.Env = t.TempDir(), []string{"PATH=/nonexistent"}
	out, _ := c.CombinedOutput()
	if strings.Contains(string(out), "CAUGHT") {
		t.Errorf("%s of %s", out, plan)
	}
}

// TestPlanRuns: a plan does what it says, and does it again without harm.
func TestPlanRuns(t *testing.T) {
	plan := made(usersService...).with(onRoad("shared"), systemd(true)).plan()
	home := t.TempDir()
	for range 2 {
		c := exec.Command("/bin/sh", "-e", "-c", "sudo() { cat >>sudo; }; systemctl() { echo $* >>systemctl; }\n"+plan)
		c.Dir, c.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for name, want := range map[string]string{
		".config/systemd/user/a.service.d/supervise.conf": "[Service]\nDelegate=yes\n",
		"systemctl": strings.Repeat("--user daemon-reload\n", 2),
	} {
		if got, err := os.ReadFile(filepath.Join(home, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, _ := os.ReadFile(home + "/sudo"); strings.Count(string(got), "Delegate=cpu cpuset io memory pids") != 2 {
		t.Errorf("for root: %q", got)
	}
}

// TestPlanPrintable: a command with a name that does something to a terminal is left out.
func TestPlanPrintable(t *testing.T) {
	d := made(level("/a\x1b[2J", 0, false, all, all)).with(refused)
	if len(d.Fixes) != 1 || len(d.Fixes[0].Commands) > 0 {
		t.Errorf("%+v", d.Fixes)
	}
	for line := range strings.Lines(d.plan()) {
		if line = strings.TrimSuffix(line, "\n"); line != cli.Printable(line) {
			t.Errorf("not printable: %q", line)
		}
	}
}

// TestPlanRoot: commands for root are marked, and run by sudo where the user is another.
func TestPlanRoot(t *testing.T) {
	make := func(uid int) string { return made(service...).with(onRoad("shared"), systemd(true), as(uid)).plan() }
	if plan := make(0); !strings.Contains(plan, "# as root:\n") || strings.Contains(plan, "sudo") {
		t.Error(plan)
	}
	if plan := make(1000); !strings.Contains(plan, "# as root:\nsudo sh -e <<'EOF'\n") {
		t.Error(plan)
	}
}

func TestGrouped(t *testing.T) {
	list := []protocol.FixCommand{{Line: "a"}, {Line: "b", Root: true}, {Line: "c", Root: true}, {Line: "d"}}
	var sizes []int
	for _, group := range grouped(list) {
		sizes = append(sizes, len(group))
	}
	if got := fmt.Sprint(sizes); got != "[1 2 1]" {
		t.Error(got)
	}
}
