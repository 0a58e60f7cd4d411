package systemd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A checkup is what these tests read of the JSON of `supervise doctor`.
type checkup struct {
	Containment        string
	Reason, Road, Root *string
	Bus                struct {
		Program *string
		Roads   []struct{ OK bool }
	}
	Fixes []struct {
		Name  string
		Lines []string
	}
}

func (c *checkup) hasFix(name string) bool {
	for _, f := range c.Fixes {
		if f.Name == name {
			return true
		}
	}
	return false
}

// examine runs the command, which must end with this status.
func examine(t *testing.T, status int, argv ...string) (c checkup) {
	t.Helper()
	o := run(t, argv...)
	if err := json.Unmarshal([]byte(o.out), &c); err != nil || o.code != status || o.err != "" {
		t.Fatalf("%v; status %d, want %d; stdout %q, stderr %q", err, o.code, status, o.out, o.err)
	}
	return c
}

// TestDoctor: it names the place that a job would get, and a way to the manager.
func TestDoctor(t *testing.T) {
	me := []string{program("supervise"), "doctor", "--json"}
	newScope := regexp.MustCompile(`/app\.slice/supervise-[0-9a-f]{8}\.scope$`)
	tests := []struct {
		name string
		argv []string
		want *regexp.Regexp
	}{
		{"login session", me, newScope},
		{"no environment", append([]string{"env", "-i"}, me...), newScope},
		{"scope, not delegated", append([]string{"systemd-run", "--user", "--scope", "-q"}, me...), newScope},
		{"delegated scope", append([]string{"systemd-run", "--user", "--scope", "-q", "-p", "Delegate=yes"}, me...),
			regexp.MustCompile(`/app\.slice/run-[^/]+\.scope$`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asUser(t)
			c := examine(t, 0, tt.argv...)
			if c.Root == nil || !tt.want.MatchString(*c.Root) || *c.Road != "delegated" {
				t.Errorf("%+v, want the root %s", c, tt.want)
			}
			if c.Bus.Program == nil || len(c.Bus.Roads) == 0 || !c.Bus.Roads[0].OK {
				t.Errorf("bus: %+v", c.Bus)
			}
			if text := run(t, program("supervise"), "doctor"); text.code != 0 || !strings.HasPrefix(text.out, "containment   cgroup, below") {
				t.Errorf("status %d, %s%s", text.code, text.out, text.err)
			}
			if c.hasFix("install-scope") || c.hasFix("delegated-scope") {
				t.Errorf("needless: %+v", c.Fixes)
			}
		})
	}
}

// TestDoctorAlone: without supervise-scope, and where the manager is not at its usual place, a login session has nothing to
// offer, and that is said first.
func TestDoctorAlone(t *testing.T) {
	asUser(t)
	alone := filepath.Join(t.TempDir(), "supervise")
	b, err := os.ReadFile(program("supervise"))
	if err == nil {
		err = os.WriteFile(alone, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := examine(t, 1, "env", "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=/nonexistent", alone, "doctor", "--json")
	if c.Containment != "subreaper" || c.Reason == nil || len(c.Fixes) == 0 || c.Fixes[0].Name != "install-scope" {
		t.Errorf("%+v", c)
	}
}

// TestDoctorService: a read-only /sys/fs/cgroup is this service's own doing.
func TestDoctorService(t *testing.T) {
	asRoot(t)
	me := []string{program("supervise"), "doctor", "--json"}
	if c := examine(t, 0, me...); c.Root == nil || *c.Road != "shared" || !strings.Contains(*c.Reason, "is a service, which is not left") || !c.hasFix("delegate-to-service") {
		t.Errorf("as root: %+v", c)
	}
	c := examine(t, 1, append([]string{"systemd-run", "--wait", "--pipe", "-q", "-p", "ProtectControlGroups=yes"}, me...)...)
	if len(c.Fixes) == 0 || !slices.Contains(c.Fixes[0].Lines, "ProtectControlGroups=no") {
		t.Errorf("%+v", c)
	}
}
