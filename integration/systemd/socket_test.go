package systemd

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// metricsDir is where the units of the tests write metrics.
const metricsDir = "%t"

// installUnits puts contrib/systemd into the user's manager, with a drop-in: the example in supervise@.service, of a job that
// is always the same.
func installUnits(t *testing.T, job string) {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".config/systemd/user")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(file) })
	}
	files, _ := filepath.Glob(testbed.Source("contrib/systemd/*.[st]*"))
	if len(files) != 5 {
		t.Fatalf("units %q", files)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Base(f), strings.NewReplacer("ExecStart=supervise", "ExecStart="+program("supervise"), "/var/lib/prometheus/node-exporter", metricsDir, "OnUnitActiveSec=15s", "OnUnitActiveSec=1s").Replace(string(b)))
	}
	if job != "" {
		write("supervise@.service.d/job.conf", "[Service]\nStandardInput=null\nStandardOutput=journal\nExecStart=\nExecStart="+
			program("supervise")+" run --owner fd:3 --record fd:3 -- "+job+"\n")
	}
	run(t, "systemctl", "--user", "daemon-reload").ok(t)
}

// TestMetricsTimer: the timer writes the file, and writes it again.
func TestMetricsTimer(t *testing.T) {
	asUser(t)
	installUnits(t, "")
	file := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "supervise.prom")
	t.Cleanup(func() {
		exec.Command("systemctl", "--user", "stop", "supervise-metrics.timer", "supervise-metrics.service").Run()
		os.Remove(file)
	})
	run(t, "systemctl", "--user", "start", "supervise-metrics.timer").ok(t)
	for range 2 {
		var text []byte
		for end := time.Now().Add(time.Minute); len(text) == 0; <-time.After(50 * time.Millisecond) {
			text, _ = os.ReadFile(file)
			if time.Now().After(end) {
				t.Fatal("there is no file")
			}
		}
		if !strings.Contains(string(text), "# TYPE supervise_job_processes gauge\n") {
			t.Errorf("%s", text)
		}
		os.Remove(file)
	}
}

// TestSocketServe: each connection to supervise.socket has a server of its own.
func TestSocketServe(t *testing.T) {
	asUser(t)
	installUnits(t, "")
	run(t, "systemctl", "--user", "start", "supervise.socket").ok(t)
	t.Cleanup(func() { exec.Command("systemctl", "--user", "stop", "supervise.socket").Run() })
	c, err := net.Dial("unix", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "supervise"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, `{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}
{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["sh","-c","ls /proc/self/fd | tr -d '\\n'"],"stdio":["null","capture"]}}
`)
	out := ""
	for lines := bufio.NewReader(c); err == nil && !strings.Contains(out, `"method":"ended"`); {
		var line string
		line, err = lines.ReadString('\n')
		out += line
	}
	// 0123: three, and the one that ls reads the directory with; in base64.
	if err != nil || !strings.Contains(out, `"containment":"cgroup"`) || !strings.Contains(out, "/supervise@") || !strings.Contains(out, `"data":"MDEyMw=="`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSocket: in the example of one job that is always the same, the connection gets its record, and its end is the job's.
func TestSocket(t *testing.T) {
	asUser(t)
	script := filepath.Join(t.TempDir(), "job")
	os.WriteFile(script, []byte("#!/bin/sh\nsetsid sleep "+sleeper+" &\n[ -e "+script+".wait ] && exec sleep "+sleeper+"\nexit 3\n"), 0o755)
	installUnits(t, script)
	run(t, "systemctl", "--user", "start", "supervise.socket").ok(t)
	t.Cleanup(func() { exec.Command("systemctl", "--user", "stop", "supervise.socket").Run() })
	socket := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "supervise")

	t.Run("record", func(t *testing.T) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b, err := io.ReadAll(bufio.NewReader(c))
		var r record
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil || r.Exit == nil || *r.Exit.Code != 3 || *r.Containment != "cgroup" ||
			!strings.Contains(*r.Cgroup, "/supervise@") {
			t.Errorf("%v: %s", err, b)
		}
	})
	t.Run("end", func(t *testing.T) {
		os.WriteFile(script+".wait", nil, 0o644)
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, patience, "the job", func() error {
			if len(sleepers()) < 2 {
				return io.EOF
			}
			return nil
		})
		c.Close()
		testbed.Eventually(t, patience, "the end", func() error { return isEmpty(sleepers()) })
	})
}
