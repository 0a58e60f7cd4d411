package integration

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

const depth = 8

// nested is supervise in supervise in supervise, one for each containment, the innermost running an adversary.
func (b *box) nested(chain []containment, argv ...string) launch {
	for _, c := range slices.Backward(chain[1:]) {
		argv = append([]string{bin.supervise, "run", c.flag(), "--"}, argv...)
	}
	return b.run(chain[0], nil, argv...)
}

// alternate is a chain of both containments in turn.
func alternate(first, second containment) []containment {
	var chain []containment
	for range depth / 2 {
		chain = append(chain, first, second)
	}
	return chain
}

// TestNesting ends the outermost of eight, politely, by force and by itself.
func TestNesting(t *testing.T) {
	chains := map[string][]containment{
		"cgroup":                  slices.Repeat([]containment{inCgroup}, depth),
		"subreaper":               slices.Repeat([]containment{inSubreaper}, depth),
		"cgroup inside subreaper": alternate(inSubreaper, inCgroup),
		"subreaper inside cgroup": alternate(inCgroup, inSubreaper),
	}
	for name, chain := range chains {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(chain, inCgroup) {
				needCgroup(t)
			}
			for _, e := range usual {
				t.Run(e.name, func(t *testing.T) { testNesting(t, chain, e) })
			}
		})
	}
}

func testNesting(t *testing.T, chain []containment, e ending) {
	b := newBox(t)
	p := b.start(b.nested(chain, adversary("daemon", "-exit=7")...))
	p.expect("ready")
	e.end(p)
	o := p.wait()
	if e.name == byKill.name {
		// A subreaper above ends the guardians below it too, which had directories to remove.
		b.staleOK = slices.Contains(chain, inSubreaper)
		e.check(o, chain[0])
		return
	}
	// To the outer ones an inner supervise that exits 143 has exited, so only the status is the same at all levels.
	o.wantCode(map[string]int{byMain.name: 7, byTerm.name: 143}[e.name])
	o.wantRecord(chain[0], "exited")
}

// TestNestingPlace: the job of a nested supervise sits below the outer job, so that the outer end ends it.
func TestNestingPlace(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	inner := []string{bin.supervise, "run", "--contain=cgroup", "--", "sh", "-c", "echo inner $(grep ^0:: /proc/self/cgroup)"}
	script := "echo outer $(grep ^0:: /proc/self/cgroup); exec " + strings.Join(quoted(inner), " ")
	o := b.start(b.run(inCgroup, nil, "sh", "-c", script)).wait()
	o.wantCode(0)
	lines := map[string]string{}
	for line := range strings.Lines(o.stdout) {
		who, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[who] = strings.TrimPrefix(path, "0::")
	}
	job := strings.TrimSuffix(lines["outer"], "/main")
	if job == "" || !strings.HasPrefix(lines["inner"], job+"/jobs-") {
		t.Errorf("the outer job is in %q, the inner in %q, which is not beside the outer's main", lines["outer"], lines["inner"])
	}
}

// TestNestingKillInner shoots a supervise half-way down: it and all below are gone, and those above see a status.
func TestNestingKillInner(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.nested(slices.Repeat([]containment{c}, depth), adversary("daemon")...))
		p.expect("ready")
		pid := p.pid()
		for range depth / 2 {
			pid = innerOf(t, pid)
		}
		syscall.Kill(pid, syscall.SIGKILL)
		o := p.wait()
		if o.code == 0 {
			t.Errorf("a nested supervise was killed, and the outermost exits 0; stderr %q", o.stderr)
		}
	})
}

// innerOf is the next supervise process below one.
func innerOf(t *testing.T, pid int) int {
	t.Helper()
	children := testbed.Children(pid)
	for _, child := range children { // in the fallback the guardian is in between
		if comm(child) == "guardian" {
			children = append(slices.Clone(children), testbed.Children(child)...)
		}
	}
	for _, child := range children {
		if argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); bytes.Contains(argv, []byte("supervise\x00run\x00")) && comm(child) != "guardian" && comm(child) != "sentinel" {
			return child
		}
	}
	t.Fatalf("no supervise below %s, but: %s", describe([]int{pid}), describe(testbed.Children(pid)))
	return 0
}

// quoted makes words safe for the shell.
func quoted(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return out
}
