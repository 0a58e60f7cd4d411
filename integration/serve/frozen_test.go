package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// cpuUsed is what cpu.stat says of a job's cgroup: the line with the microseconds used.
func (j *job) cpuUsed() string {
	j.s.t.Helper()
	b, err := os.ReadFile(filepath.Join(j.result["cgroup"].(string), "cpu.stat"))
	j.s.must(err)
	line, _, _ := strings.Cut(string(b), "\n")
	if !strings.HasPrefix(line, "usage_usec ") {
		j.s.t.Fatalf("cpu.stat begins with %q", line)
	}
	return line
}

// TestFreezeAgain: to freeze a job that is frozen never lets it run, not even for the moment between a thaw and a freeze:
// of a busy job not one more microsecond is counted.
func TestFreezeAgain(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	s := newBox(t).serve(inCgroup, socket)
	s.hello()
	j := s.shell(captured, "echo ready; while :; do :; done")
	j.told("output")
	j.do("freeze", nil)
	used := j.cpuUsed()
	for range 20 {
		j.do("freeze", nil)
		if now := j.cpuUsed(); now != used {
			t.Fatalf("%s, and after freezing it again %s", used, now)
		}
	}
	if r := j.do("stat", nil); r["frozen"] != true {
		t.Errorf("after it was frozen again: %s", text(r))
	}
	j.kill()
	s.end()
}

// TestFreezeGrace: a frozen job that is to end is asked all the same, and has its grace period.
func TestFreezeGrace(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	s := newBox(t).serve(inCgroup, socket)
	s.hello()
	j := s.shell(captured, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
	j.told("output")
	j.do("freeze", nil)
	j.do("kill", object{"grace": 50})
	if exit, _ := j.ended("killed")["exit"].(object); exit["code"] != float64(9) {
		t.Errorf("exit %v", exit)
	}
	s.end()
}
