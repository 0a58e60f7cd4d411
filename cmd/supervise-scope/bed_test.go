package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests talk to a real user manager, as an ordinary user in a login
// session: what integration's bed provides, or a desktop. Compiled once, the test
// binary stands alone; under the name of the program it is the program.
//
//	CGO_ENABLED=0 go test -c ./cmd/supervise-scope
//	SUPERVISE_BED=systemd ./supervise-scope.test

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == program {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is for what is a matter of milliseconds on a machine that is not busy.
const patience = 30 * time.Second

// needManager skips where there is no user manager, unless one was promised.
func needManager(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("only for an ordinary user: root asks the system's manager, as integration/systemd does")
	}
	socket := fmt.Sprintf("/run/user/%d/systemd/private", os.Geteuid())
	_, err := os.Stat(socket)
	if err == nil {
		return
	}
	if os.Getenv("SUPERVISE_BED") == "systemd" {
		t.Fatalf("SUPERVISE_BED promises a user manager: %v", err)
	}
	t.Skipf("no systemd user manager: %v", err)
}

// runScope runs the program with an empty environment and these arguments.
func runScope(env []string, args ...string) (stdout, stderr string, code int) {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Cmd{Path: exe, Args: append([]string{program}, args...), Env: append([]string{}, env...), Stdout: &out, Stderr: &errs}
	cmd.Run() // the exit code says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A result is the line that the program prints.
type result struct {
	Cgroup, Unit, Road, Manager, Subgroup string
	Took                                  float64 `json:"took_ms"`
}

// scope runs the program, which must succeed.
func scope(t *testing.T, args ...string) result {
	t.Helper()
	out, errs, code := runScope(nil, args...)
	return decode(t, out, errs, code)
}

func decode(t *testing.T, out, errs string, code int) result {
	t.Helper()
	var r result
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || errs != "" || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit status %d, %v, stdout %q, stderr %q", code, err, out, errs)
	}
	return r
}

// sleeper starts a process to be moved; it ends with the test.
func sleeper(t *testing.T) (pid string) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return strconv.Itoa(cmd.Process.Pid)
}

func cgroupOf(t *testing.T, pid string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(text), "\n0::")
	cgroup, _, _ := strings.Cut(rest, "\n")
	return cgroup
}

// systemctl asks the user's manager.
func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", os.Geteuid()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl %v: %v: %s", args, err, out)
	}
	return string(out)
}

// noUnits waits until the manager has no scope of ours.
func noUnits(t *testing.T) {
	t.Helper()
	var left string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = systemctl(t, "list-units", "--all", "--no-legend", "supervise-*"); strings.TrimSpace(left) == "" {
			return
		}
	}
	t.Errorf("units left: %s", left)
}

// cgroupDir is where a cgroup is mounted.
func cgroupDir(t *testing.T, cgroup string) string {
	t.Helper()
	for _, point := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(point + cgroup + "/cgroup.procs"); err == nil {
			return point + cgroup
		}
	}
	t.Fatalf("%s is not mounted", cgroup)
	return ""
}

// busOnly is a runtime directory in which the bus is all there is.
func busOnly(t *testing.T, dir string) string {
	t.Helper()
	d := t.TempDir()
	if err := os.Symlink(dir+"/bus", d+"/bus"); err != nil {
		t.Fatal(err)
	}
	return d
}

// shell runs a script of bash's, $0 being this binary, behind some prefix.
func shell(t *testing.T, prefix []string, script string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := append(prefix, "bash", "-c", script, exe)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", os.Geteuid()))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %v: %s%s", argv, err, out, errs.String())
	}
	return string(out)
}

// managerPID finds the process of the user's manager.
func managerPID(t *testing.T) string {
	t.Helper()
	dir := cgroupDir(t, fmt.Sprintf("/user.slice/user-%[1]d.slice/user@%[1]d.service/init.scope", os.Geteuid()))
	procs, err := os.ReadFile(dir + "/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(procs), "\n")
	return pid
}

func signal(t *testing.T, pid string, s unix.Signal) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = unix.Kill(n, s)
	}
	if err != nil {
		t.Fatal(err)
	}
}
