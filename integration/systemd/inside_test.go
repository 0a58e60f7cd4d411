package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// Ways to run a job below a shell of a unit, as scripts; each says "ready" in a file. The job is deaf to SIGTERM, and its grace
// period longer than any test, so that only what ends the unit ends it.
var inside = map[string]string{
	"run":      `%[1]s/supervise run --grace 1h -- sh -c 'trap "" TERM; setsid sleep %[2]s & echo >%[3]s; wait'; true`,
	"fallback": `%[1]s/supervise run --contain=subreaper --grace 1h -- sh -c 'trap "" TERM; setsid sleep %[2]s & echo >%[3]s; wait'; true`,
	"serve": `{ echo '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}'
		echo '{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["sh","-c","setsid sleep %[2]s & echo >%[3]s; wait"]}}'
		exec sleep %[2]s; } | %[1]s/supervise serve; true`,
	"binary": `sh -c 'mkfifo %[3]s.in; (setsid sleep %[2]s & wait) & until grep -qs sleep /proc/$!/task/*/children /proc/[0-9]*/comm; do :; done
		echo >%[3]s; exec %[1]s/supervise <>%[3]s.in'; true`,
}

// unitOf starts a unit of the manager's in which a script runs, and returns when the script has said that it is ready.
func unitOf(t *testing.T, kind, script string, properties ...string) (unit string, c *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	ready := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(ready, 0o666); err != nil {
		t.Fatal(err)
	}
	unit = "around-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())) + "." + kind
	argv := []string{"systemd-run", manager(), "-q", "--collect", "--unit=" + unit}
	if kind == "scope" {
		argv = append(argv, "--scope")
	} else {
		argv = append(argv, "--wait")
	}
	for _, p := range properties {
		argv = append(argv, "-p", p)
	}
	// A shell of systemd's own would expand what is the script's.
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, fmt.Appendf(nil, script, bin, sleeper, ready), 0o644); err != nil {
		t.Fatal(err)
	}
	c = command(t, append(argv, "sh", file)...)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(ready); err != nil {
		t.Fatal(err)
	}
	return unit, c
}

// TestUnitEnds: what ends the unit from which a job was started ends the job, whether the job is in the unit or in a scope of its
// own: a stop, within the time that the unit has for that; and a SIGKILL.
func TestUnitEnds(t *testing.T) {
	for _, kind := range []string{"scope", "service"} {
		for way, script := range inside {
			for end, argv := range map[string][]string{
				"stop": {"systemctl", manager(), "stop"},
				"kill": {"systemctl", manager(), "kill", "-s", "KILL"},
			} {
				t.Run(kind+"/"+way+"/"+end, func(t *testing.T) {
					needBed(t, true, "--user and --root")
					unit, c := unitOf(t, kind, script, "TimeoutStopSec=2s")
					run(t, append(argv, unit)...).ok(t)
					if way == "binary" { // the job runs while the manager is asked for a scope
						testbed.Eventually(t, patience, "units", stopStillborn)
					}
					nothingLeft(t)
					c.Wait()
				})
			}
		}
	}
}

// stopStillborn stops the scopes that are empty, and says which units there are. A scope that systemd has just been asked for,
// by a supervise that has ended since, is empty from its start; of that there is no event, and systemd 252 keeps it.
func stopStillborn() error {
	list := units()
	for _, line := range list {
		unit, _, _ := strings.Cut(line, " ")
		cgroup, err := exec.Command("systemctl", manager(), "show", "-P", "ControlGroup", unit).Output()
		if err != nil {
			continue
		}
		events, err := os.ReadFile("/sys/fs/cgroup" + strings.TrimSpace(string(cgroup)) + "/cgroup.events")
		if err == nil && strings.Contains(string(events), "populated 0") {
			exec.Command("systemctl", manager(), "stop", unit).Run() // it may have gone
		}
	}
	return isEmpty(list)
}

// TestUnitTerm: a stop of the unit is a grace period for the job, though the job is in a scope of its own.
func TestUnitTerm(t *testing.T) {
	needBed(t, true, "--user and --root")
	record := filepath.Join(t.TempDir(), "record")
	for d := filepath.Dir(record); d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	unit, c := unitOf(t, "scope", `%[1]s/supervise run --record `+record+` --grace 1h -- sh -c 'trap "exit 3" TERM; sleep %[2]s & echo >%[3]s; wait'; true`)
	run(t, "systemctl", manager(), "stop", unit).ok(t)
	c.Wait()
	testbed.Eventually(t, patience, "record", func() error { _, err := os.Stat(record); return err })
	r := readRecord(t, record)
	if r.Cause != "killed" || r.Exit == nil || r.Exit.Code == nil || *r.Exit.Code != 3 || r.Reason == nil || !strings.Contains(*r.Reason, "no limit of "+unit) {
		t.Errorf("record %+v, reason %v", r, r.Reason)
	}
}

// TestPrograms: what systemd enforces by programs of BPF, which no file of the cgroup shows, is not left behind either.
func TestPrograms(t *testing.T) {
	asRoot(t)
	for _, property := range []string{"IPAddressDeny=any", "DevicePolicy=strict", "SocketBindDeny=any"} {
		out := run(t, append([]string{"systemd-run", "--scope", "-q", "-p", property}, supervise(whereAmI...)...)...).ok(t)
		if !regexp.MustCompile(`/run-[^/]+\.scope/jobs-`).MatchString(out) {
			t.Errorf("%s: the job is in %s", property, out)
		}
	}
}

// TestLogout: a job that was started by nohup lives on after the last logout of a user who does not linger, though its scope is one
// of the user's manager; and it ends with the session that it was started from.
func TestLogout(t *testing.T) {
	asRoot(t)
	// Another user, who leaves nothing behind, is the clock: when the manager of that one is gone, the first one's would be.
	for _, name := range []string{"stays", "leaves"} {
		if out, err := exec.Command("useradd", "-m", "-s", "/bin/bash", name).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	quick := "/run/systemd/logind.conf.d"
	if err := os.MkdirAll(quick, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(quick+"/test.conf", []byte("[Login]\nUserStopDelaySec=1s\nKillUserProcesses=no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "systemctl", "restart", "systemd-logind").ok(t)
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	login := func(name, script string) {
		run(t, "systemd-run", "-q", "--wait", "--collect", "-p", "User="+name, "-p", "PAMName=login", "bash", "-c", script).ok(t)
	}
	record := filepath.Join(dir, "record")
	job := fmt.Sprintf(`sh -c "echo >%[1]s/ready; exec sleep %[2]s"`, dir, sleeper)
	login("stays", fmt.Sprintf(`mkfifo %[1]s/ready; nohup %[2]s/supervise run --record %[3]s -- %[4]s >/dev/null 2>&1 & read x <%[1]s/ready`, dir, bin, record, job))
	login("leaves", "true")
	manager := func(name string) string {
		id, _ := exec.Command("id", "-u", name).Output()
		return "user@" + strings.TrimSpace(string(id)) + ".service"
	}
	testbed.Eventually(t, patience, "the other user's manager", func() error {
		if out, _ := exec.Command("systemctl", "is-active", manager("leaves")).Output(); strings.TrimSpace(string(out)) != "inactive" {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	if out, _ := exec.Command("systemctl", "is-active", manager("stays")).Output(); strings.TrimSpace(string(out)) != "active" || len(sleepers()) == 0 {
		t.Errorf("the manager is %s, and of the job are left %q", out, sleepers())
	}
	run(t, "loginctl", "terminate-user", "stays").ok(t)
	testbed.Eventually(t, patience, "record", func() error { _, err := os.Stat(record); return err })
	if r := readRecord(t, record); r.Cause != "killed" || !inScope("app.slice").MatchString(strings.TrimPrefix(*r.Cgroup, "/sys/fs/cgroup")+"/main") {
		t.Errorf("record %+v, cgroup %v", r, *r.Cgroup)
	}
}
