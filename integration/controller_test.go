package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoController: a limit by a controller that is not there is refused, with where it stops; or, with --best-effort, is not
// enforced, which is said.
func TestNoController(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	if data, err := os.ReadFile(filepath.Join(b.group.path, "cgroup.controllers")); err != nil || strings.Contains(string(data), "memory") {
		t.Skipf("this place has the memory controller: integration/limits tests that (%v)", err)
	}
	o := b.start(b.supervise([]string{"--memory-max", "1G"}, "echo", "started")).wait()
	o.wantCode(125)
	if o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "--memory-max 1G: no memory controller here: /") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
	o = b.start(b.supervise([]string{"--memory-max", "1G", "--best-effort"}, "echo", "started")).wait()
	o.wantCode(0)
	o.wantRecord(inCgroup, "exited")
	if o.stdout != "started\n" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "not enforced: --memory-max 1G: ") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}
