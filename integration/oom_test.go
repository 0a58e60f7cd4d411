package integration

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestOOMKilled: that nothing was killed for want of memory is known, where no cgroup counts as well: by the counter of the
// whole machine, if that has not moved.
func TestOOMKilled(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for _, script := range []string{"true", "kill -KILL $$", "sleep 1000 & kill -KILL $!; wait $!"} {
			before := machineOOM(t)
			p := b.start(b.run(c, nil, sh(script)...))
			p.wait()
			r := p.fields()
			if before == machineOOM(t) && r["oom_killed"] != false || r["oom"] != nil {
				t.Errorf("%s: oom_killed %v, oom %v", script, r["oom_killed"], r["oom"])
			}
		}
	})
}

// machineOOM is what /proc/vmstat says of OOM kills.
func machineOOM(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "\noom_kill ")
	if !ok {
		testbed.Need(t, "a kernel that counts OOM kills", errors.New("/proc/vmstat has no oom_kill"))
	}
	count, _, _ := strings.Cut(rest, "\n")
	return count
}

// fields reads a record.
func (p *proc) fields() map[string]any {
	p.box.t.Helper()
	data, err := os.ReadFile(p.record)
	if err != nil {
		p.box.t.Fatal(err)
	}
	return object(p.box.t, data)
}

func object(t *testing.T, data []byte) (fields map[string]any) {
	t.Helper()
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return fields
}
