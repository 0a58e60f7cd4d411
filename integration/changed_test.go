package integration

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestLimitChanged: a limit that the job itself has lifted is not called enforced.
func TestLimitChanged(t *testing.T) {
	needCgroup(t)
	mount, err := testbed.Mount()
	if err != nil {
		t.Fatal(err)
	}
	const node = `node=$(dirname "$0$(sed -n s/^0:://p /proc/self/cgroup)"); `
	for script, want := range map[string]string{
		"true": "",
		`echo max >"$node/cgroup.max.descendants"`:                                          `cgroup.max.descendants was set to "16", and is "max" at the end`,
		`echo max >"$node/cgroup.max.descendants"; echo 16 >"$node/cgroup.max.descendants"`: "",
	} {
		b := newBox(t)
		l := b.run(inCgroup, []string{"--set", "cgroup.max.descendants=0x10", "--set", "cgroup.max.depth=9"}, "sh", "-c", node+script, mount)
		o := b.start(l).wait()
		o.wantCode(0)
		r := o.record
		if want == "" && (len(r.Unenforced) != 0 || len(r.Limits) != 2) {
			t.Errorf("%s: unenforced %+v, limits %+v", script, r.Unenforced, r.Limits)
		}
		if want != "" && (len(r.Unenforced) != 1 || len(r.Limits) != 1 || !strings.Contains(r.Unenforced[0].Reason, want)) {
			t.Errorf("%s: unenforced %+v, limits %+v", script, r.Unenforced, r.Limits)
		}
	}
}
