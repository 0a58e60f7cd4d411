package load

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// TestOwners has many owners come through systemd's supervise.socket at once, and go in all ways.
func TestOwners(t *testing.T) {
	if os.Getenv("SUPERVISE_BED") == "" {
		t.Skip("for integration/bed --user|--root -- go test ./integration/load")
	}
	socket := startSocket(t)
	var owners []*owner
	for range scaled(100, 20) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		o := greet(t, conn.(*net.UnixConn), 0)
		for range 3 {
			o.ask("spawn", `{"argv":["sh","-c","(setsid sleep 98765 &) & exec sleep 98765"]}`)
		}
		owners = append(owners, o)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, i := range random.Perm(len(owners)) {
		depart(t, owners[i], random.IntN(4))
	}
	testbed.Eventually(t, patience, "the end of all units", func() error { return nothing("units", units()) })
	testbed.Eventually(t, patience, "the end of all processes", func() error { return nothing("sleepers", sleepers()) })
	testbed.Eventually(t, patience, "the removal of all cgroups", func() error { return nothing("cgroups", sessions()) })
}

// startSocket installs the units of contrib/systemd and starts the socket.
func startSocket(t *testing.T) (path string) {
	t.Helper()
	units, runtime := "/run/systemd/system", "/run"
	if os.Geteuid() != 0 {
		runtime = os.Getenv("XDG_RUNTIME_DIR")
		units = filepath.Join(runtime, "systemd/user")
	}
	os.MkdirAll(units, 0o755)
	for _, name := range []string{"supervise.socket", "supervise@.service"} {
		b, err := os.ReadFile(testbed.Source("contrib/systemd", name))
		if err == nil {
			text := strings.ReplaceAll(string(b), "ExecStart=supervise", "ExecStart="+supervise)
			err = os.WriteFile(filepath.Join(units, name), []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(filepath.Join(units, name)) })
	}
	systemctl(t, "daemon-reload")
	systemctl(t, "start", "supervise.socket")
	t.Cleanup(func() { systemctl(t, "stop", "supervise.socket") })
	return filepath.Join(runtime, "supervise")
}

func manager() string {
	if os.Geteuid() == 0 {
		return "--system"
	}
	return "--user"
}

func systemctl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("systemctl", append([]string{manager()}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("systemctl %q: %v: %s", args, err, out)
	}
}

// depart ends the conversation of an owner in one of four ways.
func depart(t *testing.T, o *owner, way int) {
	t.Helper()
	switch way {
	case 0: // without a word, and whatever has been started by now
	case 1:
		o.ask("shutdown", `{}`)
	default: // the server is killed
		m, err := o.read()
		for err == nil && m.Method != "started" {
			m, err = o.read()
		}
		if err != nil {
			t.Fatal(err)
		}
		sig := map[int]unix.Signal{2: unix.SIGKILL, 3: unix.SIGTERM}[way]
		if err := unix.Kill(parent(m.Params.PID), sig); err != nil {
			t.Error(err)
		}
	}
	o.conn.Close()
}

// parent is the fourth field of /proc/PID/stat.
func parent(pid int) (ppid int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	fmt.Sscanf(rest, "%s %d", new(string), &ppid)
	return ppid
}

func nothing(what string, list []string) error {
	if len(list) > 0 {
		return fmt.Errorf("%d %s: %.500q", len(list), what, list)
	}
	return nil
}

func units() []string {
	out, _ := exec.Command("systemctl", manager(), "list-units", "--all", "--plain", "--no-legend", "supervise@*").Output()
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func sleepers() []string { return testbed.Running(" 98765 ") }

func sessions() (found []string) {
	for _, dir := range testbed.Below("/sys/fs/cgroup") {
		if strings.HasPrefix(filepath.Base(dir), "jobs-") {
			found = append(found, dir)
		}
	}
	return found
}
