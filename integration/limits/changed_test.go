package limits

import (
	"strings"
	"testing"
)

// own is the job's own node, for a script.
const own = `node=$(sed -n 's,^0::,/sys/fs/cgroup,p' /proc/self/cgroup); node=${node%/main}; `

// every is a limit of each kind, in values that the kernel shows otherwise than they were written.
var every = []string{
	"--memory-max", "52428801", "--memory-high", "40M", "--memory-low", "1M", "--swap-max", "5000", "--cpus", "0.5", "--cpu-weight", "50",
	"--pids-max", "100", "--cpuset", "0", "--io-weight", "200", "--set", "cgroup.max.depth=0x5", "--set", "cgroup.max.descendants=max",
}

// TestLimitsKept: nothing is said of limits that were not changed.
func TestLimitsKept(t *testing.T) {
	need(t)
	if o := run(t, append(every, "--", "true")...); len(o.Unenforced) != 0 || o.code != 0 {
		t.Errorf("%+v, status %d", o.Unenforced, o.code)
	}
}

// TestLimitsChanged: a limit that the job has changed is not enforced, and the record says what it became. So it is with a limit
// that follows from another.
func TestLimitsChanged(t *testing.T) {
	need(t)
	for file, value := range map[string]string{
		"memory.max": "max", "memory.high": "max", "memory.low": "0", "memory.swap.max": "max", "cpu.max": "max 100000", "cpu.weight": "100",
		"pids.max": "max", "cpuset.cpus": "0-1", "io.weight": "default 100", "cgroup.max.depth": "max", "cgroup.max.descendants": "5",
	} {
		o := run(t, append(every, sh(own+`echo "`+value+`" >$node/`+file)...)...)
		if len(o.Unenforced) != 1 || !strings.Contains(o.Unenforced[0].Reason, file+" was set to ") || !strings.Contains(o.Unenforced[0].Reason, `and is "`+value+`"`) {
			t.Errorf("%s: %+v", file, o.Unenforced)
		}
	}
	o := run(t, append([]string{"--memory-max", "50M"}, sh(own+`echo 0 >$node/memory.oom.group; echo max >$node/memory.swap.max`)...)...)
	if len(o.Unenforced) != 2 || o.Unenforced[0].Name != "--memory-max 50M" {
		t.Errorf("limits that follow from another: %+v", o.Unenforced)
	}
}

// TestServeLimitsChanged: what the owner of a server has set later is what counts.
func TestServeLimitsChanged(t *testing.T) {
	conn := startServe(t)
	cmd := conn.Command("sh", "-c", own+"read go; echo 7 >$node/pids.max; read end")
	cmd.Limits = map[string]string{"pids-max": "10", "memory-max": "50M"}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Limit(map[string]string{"pids-max": "20", "memory-max": "60M"}); err != nil {
		t.Fatal(err)
	}
	stdin.Write([]byte("go\nend\n"))
	cmd.Wait()
	r := cmd.Record()
	if len(r.Unenforced) != 1 || r.Unenforced[0].Name != "--pids-max 20" || !strings.Contains(r.Unenforced[0].Reason, `pids.max was set to "20", and is "7"`) {
		t.Errorf("unenforced %+v", r.Unenforced)
	}
	if len(r.Limits) != 1 || r.Limits[0].File != "memory.max" {
		t.Errorf("limits %+v", r.Limits)
	}
}
