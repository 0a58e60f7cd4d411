package containers

import (
	"path"
	"strings"
	"testing"
)

var allStyles = []style{asPid1, belowInit, belowShell}

// TestMatrix: wherever it runs, supervise holds the job, ends the daemon that the job leaves, passes the status on, and says
// by what means and why. It writes to no cgroup but its own.
func TestMatrix(t *testing.T) {
	forEach(t, modes, allStyles, func(t *testing.T, m mode, s style) {
		marker := newMarker()
		r := run(t, podman(t, m, s, marker, superviseIn(nil, leaveDaemon(marker)))...)
		wantGone(t, marker, true)
		r.wantCode(7)
		record := r.needRecord()
		t.Logf("%s %s %s", record.Containment, record.cgroup(), record.reason())
		wantEnded(t, record, 7)
		wantContainment(t, m, record)
		wantPlace(t, m, s, r)
		if strings.Contains(r.stdout, "left") || strings.Contains(r.stderr, "supervise:") {
			t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
		}
	})
}

// wantEnded checks that the job ended by itself and its daemon by supervise.
func wantEnded(t *testing.T, r *record, code int) {
	t.Helper()
	if r.Cause != "exited" || r.Exit == nil || r.Exit.Code == nil || *r.Exit.Code != code || r.Error != nil {
		t.Errorf("record: %+v", r)
	}
	if r.LeftoversTotal == nil || *r.LeftoversTotal != 1 {
		t.Errorf("record: leftovers %q, want one", r.Leftovers)
	}
}

func wantContainment(t *testing.T, m mode, r *record) {
	t.Helper()
	want := "cgroup"
	if m.reason != "" {
		want = "subreaper"
	}
	if r.Containment != want || (r.cgroup() != "") != (want == "cgroup") {
		t.Errorf("containment %q, cgroup %q (%s), want %s", r.Containment, r.cgroup(), r.reason(), want)
	}
	if !strings.Contains(r.reason(), m.reason) || m.reason == "" && r.reason() != "" && !strings.Contains(r.reason(), "was made by another program") {
		t.Errorf("containment_reason %q, want %q", r.reason(), m.reason)
	}
}

// wantPlace checks what the job saw: that it is where the record says, that no other cgroup was made, not even in what else
// of the hierarchy the container sees, and that supervise left the root of the namespace only if that gains controllers.
func wantPlace(t *testing.T, m mode, s style, r *result) {
	t.Helper()
	var own, controllers string
	var seen []string
	evacuated := false
	for line := range strings.Lines(r.stdout) {
		line = strings.TrimSuffix(line, "\n")
		switch key, value, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(line, "0::"):
			own = line[len("0::"):]
		case key == "session":
			seen = append(seen, value)
		case key == "controllers":
			controllers = value
		case key == "evacuated":
			evacuated = true
		}
	}
	if m.reason != "" {
		if len(seen) > 0 || evacuated {
			t.Errorf("in the fallback, and there are %q; evacuated: %v", seen, evacuated)
		}
		return
	}
	if "/sys/fs/cgroup"+own != r.record.cgroup()+"/main" || len(seen) != 1 || seen[0] != path.Dir(r.record.cgroup()) {
		t.Errorf("the job is in %q, the record says %q; sessions %q", own, r.record.cgroup(), seen)
	}
	hasHostNS := strings.HasPrefix(m.name, "cgroupns=host") // there /sys/fs/cgroup is the host's
	if want := controllers != "" && s.name == asPid1.name && !m.shared; !hasHostNS && evacuated != want {
		t.Errorf("evacuated: %v, want %v; controllers %q", evacuated, want, controllers)
	}
}

// TestCgroupOnly: --contain=cgroup refuses to run anything where there is none.
func TestCgroupOnly(t *testing.T) {
	forEach(t, modes, []style{asPid1, belowShell}, func(t *testing.T, m mode, s style) {
		marker := newMarker()
		r := run(t, podman(t, m, s, marker, superviseIn([]string{"--contain=cgroup"}, leaveDaemon(marker)))...)
		wantGone(t, marker, true)
		record := r.needRecord()
		if m.reason == "" {
			r.wantCode(7)
			wantEnded(t, record, 7)
			return
		}
		r.wantCode(125)
		if record.Cause != "start-failed" || record.Error == nil || !strings.Contains(*record.Error, m.reason) || strings.Contains(r.stdout, "0::") {
			t.Errorf("record %+v, stdout %q", record, r.stdout)
		}
		if !strings.Contains(r.stderr, m.reason) {
			t.Errorf("stderr %q, want %q in it", r.stderr, m.reason)
		}
	})
}
