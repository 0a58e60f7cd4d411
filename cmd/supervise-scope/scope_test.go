package main

import (
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

	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
)

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

// A description may be any command line; the unit's file survives it.
func TestBedDescription(t *testing.T) {
	needManager(t)
	r := scope(t, "--pid", sleeper(t), "--description", "sh -c 'a\nDelegate=no' %n \xff\"$x\" \\")
	systemctl(t, "daemon-reload")
	got := systemctl(t, "show", r.Unit, "-p", "Delegate,Description")
	if want := "Description=sh -c 'a Delegate=no' %n ?\"$x\"\n"; !strings.Contains(got, want) || !strings.Contains(got, "Delegate=yes\n") {
		t.Errorf("got %q, want %q", got, want)
	}
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
			(` + self + `); :`, "scope", ""}, // systemd has not made it
		{"--scope -q -p Delegate=yes", `
			d=/sys/fs/cgroup$(sed -n s/^0:://p /proc/$$/cgroup); mkdir $d/supervisor && echo $$ >$d/supervisor/cgroup.procs
			(` + self + `); :`, "unit", "supervisor"}, // supervise moves itself there
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
	if code != cli.ExitFailed || !strings.HasPrefix(errs, "supervise-scope: attaching to supervise-00000000.scope over private ") {
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
		if code != cli.ExitFailed || out != "" || !strings.HasPrefix(errs, "supervise-scope: starting supervise-") ||
			!strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit status %d, %q %q", args, code, out, errs)
		}
	}
	if _, errs, code := runScope(nil, "--pid=4194304"); code != cli.ExitFailed || errs != "supervise-scope: there is no process 4194304\n" {
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
	if os.Getenv("SUPERVISE_BED") != "systemd" {
		t.Skip("stops the user's manager, which might be somebody's desktop: only in a bed")
	}
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
		if code != cli.ExitFailed || out != "" || !strings.Contains(errs, "no answer in time") || strings.Count(errs, "\n") != 1 {
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
