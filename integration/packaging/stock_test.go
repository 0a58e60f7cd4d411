package packaging

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A stock is all that packages could leave behind.
type stock struct {
	paths    map[string]bool
	packages string
	cgroups  []string
	units    string // those of the user's as well
}

// others keep notes of their own about what was installed and run.
var others = []string{"/tmp", "/var/cache", "/var/lib/apt", "/var/lib/systemd/coredump", "/var/lib/systemd/timers", "/var/log", "/var/tmp"}

const listUnits = "systemctl list-units --all --plain --no-legend 'supervise*'"

func takeStock(t *testing.T) stock {
	t.Helper()
	return stock{
		paths:    paths(t, "/", others...),
		packages: output(t, "dpkg-query", "-W", "-f", "${Package} ${Status}\n") + "\n",
		cgroups:  cgroups(t),
		units:    output(t, "sh", "-c", listUnits) + userSays(t, listUnits+" --user"),
	}
}

// compareStock: after the purge all is as it was, and no process of supervise's is left.
func compareStock(t *testing.T, before stock) {
	t.Helper()
	after := takeStock(t)
	for _, path := range slices.Sorted(maps.Keys(after.paths)) {
		if !before.paths[path] && !strings.HasSuffix(path, "-old") { // dpkg keeps the state before the last
			t.Errorf("left behind: %s", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before.paths)) {
		if !after.paths[path] {
			t.Errorf("gone: %s", path)
		}
	}
	for line := range strings.Lines(after.packages) {
		if !strings.Contains(before.packages, line) {
			t.Errorf("a package is left: %s", line)
		}
	}
	for line := range strings.Lines(after.units) {
		if !strings.Contains(before.units, line) {
			t.Errorf("a unit is left: %s", line)
		}
	}
	for _, dir := range after.cgroups {
		if !slices.Contains(before.cgroups, dir) { // the guest has a slice of another suite
			t.Errorf("a cgroup is left: %s", dir)
		}
	}
	for _, pid := range processes(t) {
		t.Errorf("a process is left: %s", pid)
	}
}

// cgroups are those of supervise's.
func cgroups(t *testing.T) (list []string) {
	t.Helper()
	mount, err := testbed.Mount()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range testbed.Below(mount) {
		if name := filepath.Base(dir); strings.HasPrefix(name, "jobs-") || strings.HasPrefix(name, "supervise") {
			list = append(list, dir)
		}
	}
	return list
}

// processes are those of supervise's.
func processes(t *testing.T) (list []string) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if name, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(name), "supervise") {
			list = append(list, filepath.Dir(file)+" "+strings.TrimSpace(string(name)))
		}
	}
	return list
}
