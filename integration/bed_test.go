package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestBed checks that the beds are what they are said to be: integration/bed, integration/vm.
func TestBed(t *testing.T) {
	bed := os.Getenv("SUPERVISE_BED")
	if bed == "" {
		t.Skip("only in integration/bed and integration/vm: CI runs these tests in both")
	}
	if got := said(t, "ps", "-o", "comm=", "-p", "1"); got != "systemd" {
		t.Errorf("PID 1 is %s", got)
	}
	if os.Geteuid() != 0 {
		if got := said(t, "systemctl", "--user", "is-system-running"); got != "running" {
			t.Errorf("the user's manager is %s", got)
		}
		testPodman(t, map[string]string{"systemd": "/bed/rootfs", "vm": "/opt/rootfs"}[bed])
	}
	if bed == "vm" {
		testControllers(t)
	}
}

func testPodman(t *testing.T, root string) {
	t.Helper()
	// As a service, because podman leaves a process behind, which waits in the user's namespaces for the next container.
	got := said(t, "systemd-run", "--user", "--quiet", "--collect", "--wait", "--pipe", "podman", "run", "--rm", "--pids-limit=0",
		"--network=none", "--rootfs", root, "grep", "^0::", "/proc/self/cgroup")
	if got != "0::/" {
		t.Errorf("a container without root is in the cgroup %q", got)
	}
}

// testControllers: what a scope of the user's is delegated.
func testControllers(t *testing.T) {
	t.Helper()
	dir, err := testbed.OwnDir()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"cpu", "cpuset", "io", "memory", "pids"} {
		if !slices.Contains(strings.Fields(string(data)), c) {
			t.Errorf("%s lacks %s: %s", dir, c, data)
		}
	}
}

func said(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return strings.TrimSpace(string(out))
}
