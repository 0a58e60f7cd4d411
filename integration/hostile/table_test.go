package hostile

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A row is one attack of the table.
type row struct {
	attack string
	title  string
	groups bool // it is on cgroups: there is nothing to attack in the fallback
	harm   bool // it has succeeded if it could be done at all
	next   bool // another supervise in the same place may end what is left
	frozen bool // a cgroup of its own is frozen before the owner goes

	// chance: how far supervise comes is chance, where the job runs as the same user. The table has the worst.
	chance map[string]string
}

// rows are in the order of the table.
var rows = []row{
	{attack: "daemons", title: "daemons: double forks, sessions of their own"},
	{attack: "subreaper", title: "subreapers of its own, with orphans"},
	{attack: "headless", title: "processes whose first thread has exited"},
	{attack: "bomb", title: "a fork bomb"},
	{attack: "kill-all", title: "`kill -9 -1`"},
	{attack: "signals", title: "all other signals to `supervise`"},
	{attack: "stop-supervise", title: "`kill -STOP` on `supervise`"},
	{attack: "kill-supervise", title: "`kill -9` on `supervise`"},
	{attack: "kill-guardian", title: "`kill -9` on the guardian"},
	{attack: "guardian-first", title: "`kill -9` on the guardian, later on `supervise`"},
	{attack: "both", title: "`kill -9` on both at the same moment", chance: map[string]string{"cgroup": broken, "subreaper": broken}},
	{attack: "stop-guardian", title: "`kill -STOP` on the guardian, `kill -9` on `supervise`"},
	{attack: "ptrace", title: "ptrace(2) of `supervise` or its guardian", harm: true},
	{attack: "memory", title: "writing to `/proc/PID/mem` of these", harm: true},
	{attack: "descriptors", title: "writing to `/proc/PID/fd` of these, pidfd_getfd(2)", harm: true},
	{attack: "oom", title: "writing to `/proc/PID/oom_score_adj` of these", harm: true},
	{attack: "nofile", title: "prlimit(2) of these: no descriptor"},
	{attack: "nproc", title: "no process"},
	{attack: "fsize", title: "no file size"},
	{attack: "as", title: "no memory", chance: map[string]string{"cgroup": noRecord, "subreaper": broken}},
	{attack: "cpu", title: "no processor time"},
	{attack: "limits", title: "writing its own limits", groups: true},
	{attack: "chmod-files", title: "`chmod 0` of the files of its cgroups", groups: true},
	{attack: "chmod-dirs", title: "`chmod 0` of its cgroups", groups: true},
	{attack: "threaded", title: "making its cgroups threaded", groups: true},
	{attack: "freeze", title: "freezing them", groups: true, frozen: true},
	{attack: "freeze-supervise", title: "freezing the cgroup of `supervise`", groups: true, frozen: true},
	{attack: "descendants", title: "`cgroup.max.descendants` 0", groups: true},
	{attack: "deep", title: "1,500 cgroups, each in the one before", groups: true},
	{attack: "namespace", title: "mounting cgroup v2 anew, in namespaces of its own", groups: true},
	{attack: "move", title: "moving to another cgroup", groups: true},
	{attack: "move-kill", title: "moving, and `kill -9` on `supervise`", groups: true},
	{attack: "unmark-kill", title: "the same, its limits reset before", groups: true},
	{attack: "both", title: "`kill -9` on both; the next `supervise` ends what they left", groups: true, next: true},
	{attack: "xattr-both", title: "the same, without extended attributes", groups: true, next: true},
	{attack: "flock-both", title: "the same, locked", groups: true, next: true},
	{attack: "chmod-both", title: "the same, after `chmod 0`", groups: true, next: true},
	{attack: "threaded-both", title: "the same, threaded", groups: true, next: true},
}

// What the table says of an attack.
const (
	held     = "held"
	told     = "told"         // it has had an effect on the job's limits, of which the record tells
	noRecord = "no record"    // nothing is left, but nothing is told either
	broken   = "**not held**" // something is left, or supervise does what the attacker wants
	nothing  = "-"
)

// columns are the cells of a row: kinds by containments.
var columns = len(kinds) * len(containments)

// TestTable tries each attack, and compares what holds with README's table.
func TestTable(t *testing.T) {
	needRoot(t)
	want := readTable(t)
	got := make([][]string, len(rows))
	var mu sync.Mutex
	t.Run("attacks", func(t *testing.T) {
		for i, r := range rows {
			got[i] = slices.Repeat([]string{"?"}, columns)
			for k, kind := range kinds {
				for n, c := range containments {
					column := k*len(containments) + n
					expected := ""
					if line := want[r.title]; len(line) == columns {
						expected = line[column]
					}
					t.Run(fmt.Sprintf("%d,%s/%s/%s", i, r.attack, kind.name, c), func(t *testing.T) {
						t.Parallel()
						result := try(t, r, kind, c, expected == broken)
						if result != expected && !*update {
							t.Errorf("%s, says README; it is %s", expected, result)
						}
						mu.Lock()
						got[i][column] = result
						mu.Unlock()
					})
				}
			}
		}
	})
	if table := print(got); *update {
		writeTable(t, table)
	} else {
		t.Logf("\n%s", table)
	}
}

// try is one cell of the table.
func try(t *testing.T, r row, k kind, containment string, hopeless bool) string {
	if r.groups && containment == "subreaper" {
		return nothing
	}
	soon := patience
	if hopeless {
		soon = 3 * time.Second
	}
	c := newCell(t, k, containment)
	c.start(r.attack)
	c.expectReady()
	if r.frozen && slices.Contains(c.told, "did "+r.attack) {
		c.expectFrozen()
	}
	c.owner.Close()
	ended := c.ended(soon)
	if r.next {
		c.next()
	}
	gone := c.gone(soon)
	if !gone || !ended {
		t.Logf("supervise has ended: %v; left: %q", ended, processes(c.uid))
		c.killAll()
	}
	if !c.ended(patience) {
		t.Error("supervise does not end")
		c.cmd.Process.Kill()
	}
	result := c.judge(r, gone && ended)
	if worst := r.chance[containment]; worst != "" && k.own && !k.recipe && (result == held || result == noRecord) {
		result = worst
	}
	if result == noRecord {
		c.next() // where the guardian could not start anew, the next supervise removes the directories
	}
	if result != broken {
		c.expectNoSession()
	}
	t.Logf("%s; %v; %q; stderr %q", result, c.cmd.ProcessState, c.told, c.errors.String())
	return result
}

// judge says what became of an attack.
func (c *cell) judge(r row, gone bool) string {
	record := c.readRecord()
	switch {
	case !gone, r.harm && slices.Contains(c.told, "did "+r.attack):
		return broken
	case r.next:
		return held // by the next one, which has no record of the job
	case record == nil:
		return noRecord
	case record.Cause == "killed" && record.Error != nil && strings.Contains(*record.Error, "the guardian of the job was killed"):
		return held // without one the job is not to go on: supervise has ended it, and says why
	case record.Cause != "owner-gone" && record.Cause != "signaled":
		return broken
	case r.attack == "limits" && slices.Contains(c.told, "did "+r.attack):
		if len(record.Unenforced) == 0 {
			return broken
		}
		return told
	}
	return held
}

// print makes a table in markdown.
func print(cells [][]string) string {
	var b strings.Builder
	b.WriteString("| what the job does |")
	for _, k := range kinds {
		for _, c := range []string{"cgroup", "fallback"} {
			fmt.Fprintf(&b, " %s: %s |", k.name, c)
		}
	}
	b.WriteString("\n|" + strings.Repeat("---|", columns+1) + "\n")
	for i, r := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", r.title, strings.Join(cells[i], " | "))
	}
	return b.String()
}

// The lines around README's table.
const (
	tableBegins = "<!-- what go test ./integration/hostile -run TestTable -update writes -->\n"
	tableEnds   = "<!-- the end of that -->\n"
)

// readme returns README's parts: before the table, the table, behind it.
func readme(t *testing.T) (before, table, behind string) {
	t.Helper()
	text, err := os.ReadFile(testbed.Source("README.md"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegins)
	table, behind, ok2 := strings.Cut(rest, tableEnds)
	if !ok1 || !ok2 {
		t.Fatal("README.md has no place for the table")
	}
	return before, table, behind
}

// readTable returns the cells of README's table by the first of their line.
func readTable(t *testing.T) map[string][]string {
	_, table, _ := readme(t)
	cells := map[string][]string{}
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		cells[fields[0]] = fields[1:]
	}
	return cells
}

func writeTable(t *testing.T, table string) {
	before, _, behind := readme(t)
	if err := os.WriteFile(testbed.Source("README.md"), []byte(before+tableBegins+table+tableEnds+behind), 0o644); err != nil {
		t.Fatal(err)
	}
}
