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
	"sync"
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

const program = "supervise-scope"

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
	socket := fmt.Sprintf("/run/user/%d/systemd/private", os.Geteuid())
	_, err := os.Stat(socket)
	if os.Geteuid() == 0 {
		err = fmt.Errorf("not as root")
	}
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

// From a login session with an empty environment: a delegated scope that names
// the job, holds the process and not the helper, and goes with the process.
func TestBedScope(t *testing.T) {
	needManager(t)
	t.Run("", func(t *testing.T) {
		pid := sleeper(t)
		r := scope(t, "--pid", pid, "--description", "make -j8")
		if r.Road != "scope" || r.Manager != "private" || cgroupOf(t, pid) != r.Cgroup || filepath.Base(r.Cgroup) != r.Unit {
			t.Errorf("got %+v, the process is in %s", r, cgroupOf(t, pid))
		}
		got := systemctl(t, "show", r.Unit, "-p", "Delegate,Description,CollectMode,SendSIGHUP,ControlGroup")
		for _, want := range []string{"Delegate=yes", "Description=make -j8", "CollectMode=inactive-or-failed", "SendSIGHUP=no", "ControlGroup=" + r.Cgroup} {
			if !strings.Contains(got, want+"\n") {
				t.Errorf("%s: not %s", got, want)
			}
		}
		procs, err := os.ReadFile(cgroupDir(t, r.Cgroup) + "/cgroup.procs")
		if err != nil || strings.TrimSpace(string(procs)) != pid {
			t.Errorf("processes %q, %v", procs, err)
		}
		if err := os.Mkdir(cgroupDir(t, r.Cgroup)+"/jobs", 0o755); err != nil {
			t.Error(err)
		}
	})
	noUnits(t)
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

// The slice and the controllers that were asked for.
func TestBedSlice(t *testing.T) {
	needManager(t)
	t.Run("", func(t *testing.T) {
		r := scope(t, "--pid", sleeper(t), "--slice", "batch", "--controllers", "")
		got := systemctl(t, "show", r.Unit, "-p", "Delegate,Slice,DelegateControllers")
		for _, want := range []string{"Delegate=yes", "Slice=batch.slice", "DelegateControllers="} {
			if !strings.Contains(got, want+"\n") {
				t.Errorf("%s: not %s", got, want)
			}
		}
	})
	noUnits(t)
}

// Every bus that leads to the manager, and a runtime directory of somebody else.
func TestBedDoors(t *testing.T) {
	needManager(t)
	dir := fmt.Sprintf("/run/user/%d", os.Geteuid())
	for _, c := range []struct {
		env     []string
		manager string
	}{
		{[]string{"XDG_RUNTIME_DIR=" + dir}, "private"},
		{[]string{"XDG_RUNTIME_DIR=/root"}, "private"},
		{[]string{"XDG_RUNTIME_DIR=" + t.TempDir(), "DBUS_SESSION_BUS_ADDRESS=unix:path=" + dir + "/bus"}, "session-bus"},
		{[]string{"XDG_RUNTIME_DIR=" + busOnly(t, dir)}, "user-bus"},
	} {
		pid := sleeper(t)
		out, errs, code := runScope(c.env, "--pid", pid)
		if r := decode(t, out, errs, code); r.Manager != c.manager || cgroupOf(t, pid) != r.Cgroup {
			t.Errorf("%v: got %+v", c.env, r)
		}
	}
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

// By default it is the parent that is moved, here a shell.
func TestBedParent(t *testing.T) {
	needManager(t)
	out := shell(t, nil, `(exec -a supervise-scope $0) && sed -n s/^0:://p /proc/$$/cgroup`)
	line, at, _ := strings.Cut(out, "\n")
	if r := decode(t, line+"\n", "", 0); r.Cgroup == "" || r.Cgroup+"\n" != at {
		t.Errorf("got %s", out)
	}
	noUnits(t)
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

// Where the unit is delegated and holds only the caller, it stays there; where
// there is somebody else in it, or no delegation, it gets a scope.
func TestBedOwnUnit(t *testing.T) {
	needManager(t)
	const self = `exec -a supervise-scope $0; :`
	for _, c := range []struct {
		options, script string
		road, subgroup  string
	}{
		{"--scope -q -p Delegate=yes", "(" + self + "); :", "unit", ""},
		{"--scope -q -p Delegate=yes", "(" + self + ") | cat; :", "scope", ""},
		{"--scope -q", "(" + self + "); :", "scope", ""},
		{"--pipe --wait -q -p Delegate=yes", "(" + self + "); :", "unit", ""},
		{"--pipe --wait -q", "(" + self + "); :", "scope", ""},
		{"--scope -q -p Delegate=yes", "(exec -a supervise-scope $0 --slice=other); :", "scope", ""},
		{"--scope -q -p Delegate=yes", `
			d=/sys/fs/cgroup$(sed -n s/^0:://p /proc/$$/cgroup); mkdir $d/leaf && echo $$ >$d/leaf/cgroup.procs
			(` + self + `); :`, "unit", "leaf"},
	} {
		prefix := append([]string{"systemd-run", "--user"}, strings.Fields(c.options)...)
		r := decode(t, shell(t, prefix, c.script), "", 0)
		if r.Road != c.road || r.Subgroup != c.subgroup {
			t.Errorf("%s: %s: got %+v", c.options, c.script, r)
		}
	}
	noUnits(t)
}

func TestBedAttach(t *testing.T) {
	needManager(t)
	first, second := sleeper(t), sleeper(t)
	r := scope(t, "--pid", first)
	out, errs, code := runScope(nil, "--attach", r.Unit, "--pid", second)
	if out+errs != "" || code != 0 || cgroupOf(t, second) != r.Cgroup {
		t.Errorf("exit status %d, %q %q, the process is in %s", code, out, errs, cgroupOf(t, second))
	}
	third, sub := sleeper(t), cgroupDir(t, r.Cgroup)+"/sub"
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	_, errs, code = runScope(nil, "--attach", r.Unit, "--subgroup", "sub", "--pid", third)
	if code != 0 || cgroupOf(t, third) != r.Cgroup+"/sub" {
		t.Errorf("exit status %d, %q, the process is in %s", code, errs, cgroupOf(t, third))
	}
	_, errs, code = runScope(nil, "--attach", "supervise-00000000.scope", "--pid", third)
	if code != exitFailure || !strings.HasPrefix(errs, "supervise-scope: attaching to supervise-00000000.scope over private ") {
		t.Errorf("exit status %d, %q", code, errs)
	}
}

// A child that ends at the wrong moment does not keep the others from moving.
func TestBedZombie(t *testing.T) {
	needManager(t)
	pid, zombie := sleeper(t), exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer zombie.Wait()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, zombie.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if r := scope(t, "--pid", pid, "--pid", strconv.Itoa(zombie.Process.Pid)); cgroupOf(t, pid) != r.Cgroup {
		t.Errorf("got %+v", r)
	}
}

// What goes wrong is said in one line, and nothing is moved.
func TestBedRefusals(t *testing.T) {
	needManager(t)
	pid := sleeper(t)
	before := cgroupOf(t, pid)
	for args, want := range map[string]string{
		"--controllers=nonsense": "(InvalidArgs: Unknown cgroup controller 'nonsense')",
		"--slice=a/b":            "(InvalidArgs: ",
	} {
		out, errs, code := runScope(nil, "--pid", pid, args)
		if code != exitFailure || out != "" || !strings.HasPrefix(errs, "supervise-scope: starting supervise-") ||
			!strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit status %d, %q %q", args, code, out, errs)
		}
	}
	if _, errs, code := runScope(nil, "--pid=4194304"); code != exitFailure || errs != "supervise-scope: there is no process 4194304\n" {
		t.Errorf("exit status %d, %q", code, errs)
	}
	if at := cgroupOf(t, pid); at != before {
		t.Errorf("the process was moved to %s", at)
	}
}

// 200 in a row, then 20 at once.
func TestBedMany(t *testing.T) {
	needManager(t)
	t.Run("", func(t *testing.T) {
		for range 200 {
			one(t)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { one(t) }) // ends with its program
		}
		wg.Wait()
	})
	noUnits(t)
}

// one is a job of its own: started, moved, ended.
func one(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	out, errs, code := runScope(nil, "--timeout", patience.String(), "--pid", strconv.Itoa(cmd.Process.Pid))
	var r result
	if json.Unmarshal([]byte(out), &r) != nil || r.Cgroup != cgroupOf(t, strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("exit status %d, %s%s", code, out, errs)
	}
}

// A manager that is stopped accepts connections and answers nothing: the program
// ends in time by itself, and what it asked for is not done when the manager wakes.
func TestBedStopped(t *testing.T) {
	needManager(t)
	dir := fmt.Sprintf("/run/user/%d", os.Geteuid())
	manager := managerPID(t)
	pid := sleeper(t)
	before := cgroupOf(t, pid)
	for _, env := range [][]string{nil, {"XDG_RUNTIME_DIR=" + busOnly(t, dir)}} {
		signal(t, manager, unix.SIGSTOP)
		begun := time.Now()
		out, errs, code := runScope(env, "--timeout", "500ms", "--pid", pid)
		took := time.Since(begun)
		signal(t, manager, unix.SIGCONT)
		if code != exitFailure || out != "" || !strings.Contains(errs, "no answer in time") || strings.Count(errs, "\n") != 1 {
			t.Errorf("exit status %d, %q %q", code, out, errs)
		}
		if took > patience/2 {
			t.Errorf("took %v", took)
		}
	}
	systemctl(t, "daemon-reload") // whatever it had before this is behind it
	if at := cgroupOf(t, pid); at != before {
		t.Errorf("the process was moved to %s", at)
	}
	noUnits(t)
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

func TestBedProbe(t *testing.T) {
	needManager(t)
	out, errs, code := runScope(nil, "--probe")
	var r struct {
		Roads []struct {
			Road string
			OK   bool
		}
		Cgroup, Unit string
		Delegate     *bool
		Linger       *bool
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v, %s%s", code, err, out, errs)
	}
	if len(r.Roads) != 3 || !r.Roads[0].OK || r.Cgroup != cgroupOf(t, "self") || r.Unit == "" || r.Delegate == nil || r.Linger == nil {
		t.Errorf("got %s", out)
	}
}
