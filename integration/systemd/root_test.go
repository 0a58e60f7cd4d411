package systemd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSystemService: as root, and as User= of a service, with and without Delegate=; and in a sub-group of the unit, as
// DelegateSubgroup= makes one (systemd 254).
func TestSystemService(t *testing.T) {
	service := func(properties ...string) []string {
		argv := []string{"systemd-run", "--wait", "--pipe", "-q"}
		for _, p := range properties {
			argv = append(argv, "-p", p)
		}
		return argv
	}
	me := supervise(whereAmI...)
	inUnit := regexp.MustCompile(`^/system\.slice/run-[^/]+\.service/jobs-[0-9a-f]{8}/sed/main$`)
	inSubgroup := regexp.MustCompile(`^/system\.slice/run-[^/]+\.service/sub/jobs-[0-9a-f]{8}/sed/main$`)
	if os.Geteuid() == 0 && os.Getenv("SUPERVISE_BED") != "" { // an older systemd does not know the setting: the shell makes the sub-group then
		dropIn(t, "subgroup.service", "DelegateSubgroup=sub")
	}
	subgroup := `d=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir -p $d/sub; echo 0 >$d/sub/cgroup.procs; `
	tests := []struct {
		name string
		argv []string
		want *regexp.Regexp
	}{
		{"root, not delegated", append(service(), me...), inUnit},
		{"root, not delegated, left by name", append(service(), supervise(append([]string{"--scope=new"}, whereAmI...)...)...), inScope("system.slice")},
		{"root, in a scope", append([]string{"systemd-run", "--scope", "-q"}, me...), inScope("system.slice")},
		{"root, delegated", append(service("Delegate=yes"), me...), inUnit},
		{"user, delegated", append(service("Delegate=yes", "User=tester"), me...), inUnit},
		{"user, delegated, shared", append(service("Delegate=yes", "User=tester"), "sh", "-c", strings.Join(me, " ")+"; true"), inUnit},
		{"user, delegated, another program's sub-group", append(service("Delegate=yes", "User=tester"), "sh", "-c", subgroup+strings.Join(me, " ")+"; true"), inSubgroup},
		{"user, delegated, DelegateSubgroup=", append(service("Delegate=yes", "User=tester"), "--unit=subgroup.service", "sh", "-c", subgroup+strings.Join(me, " ")+"; true"),
			regexp.MustCompile(`^/system\.slice/subgroup\.service/jobs-[0-9a-f]{8}/sed/main$`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asRoot(t)
			for i, word := range tt.argv { // a shell of the service's has sed's expression to be quoted
				tt.argv[i] = strings.Replace(word, " s/^0:://p /proc/self/cgroup; true", " 's/^0:://p' /proc/self/cgroup; true", 1)
			}
			wantCgroup(t, run(t, tt.argv...).ok(t), tt.want)
		})
	}
}

// TestClosedService: in a service of root's that runs as a user, and is not delegated, the job is held without a cgroup of its own.
func TestClosedService(t *testing.T) {
	asRoot(t)
	o := run(t, append([]string{"systemd-run", "--wait", "--pipe", "-q", "-p", "User=tester"}, supervise(whereAmI...)...)...)
	if o.code != 0 || strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, "is a service, which is not left, and not delegated") {
		t.Errorf("status %d, stderr %q", o.code, o.err)
	}
	wantCgroup(t, strings.TrimSpace(o.out), regexp.MustCompile(`^/system\.slice/run-[^/]+\.service$`))
}

// dropIn adds a setting to a service of the system's manager.
func dropIn(t *testing.T, unit, setting string) {
	t.Helper()
	dir := "/run/systemd/system/" + unit + ".d"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(dir+"/test.conf", []byte("[Service]\n"+setting+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestStopService: `systemctl stop` is the grace ladder.
func TestStopService(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	file := filepath.Join(dir, "record")
	run(t, "systemd-run", "-q", "--unit=stopme", "-p", "Delegate=yes", "-p", "User=tester", "-p", "Type=notify", "-p", "NotifyAccess=all",
		program("supervise"), "run", "--record", file, "--", "sh", "-c", `trap "exit 3" TERM; systemd-notify --ready; sleep `+sleeper+` & wait`).ok(t)
	run(t, "systemctl", "stop", "stopme").ok(t)
	if r := readRecord(t, file); r.Cause != "killed" || r.Exit == nil || r.Exit.Code == nil || *r.Exit.Code != 3 {
		t.Errorf("record: %+v", r)
	}
	run(t, "systemctl", "reset-failed", "stopme")
}
