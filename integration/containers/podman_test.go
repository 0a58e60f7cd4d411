package containers

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A mode is a way to run a container, and what it gives.
type mode struct {
	name  string
	flags []string
	// reason is a part of the record's containment_reason; "": there are cgroups.
	reason string
	// shared: somebody outside the container's PID namespace is in its cgroup.
	shared bool
}

const (
	unmask     = "--security-opt=unmask=/sys/fs/cgroup"
	bindMount  = "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"
	readOnly   = "cgroup.procs: read-only file system"
	notOurs    = "cgroup.procs: permission denied"
	hostsRoot  = "which does not contain the own cgroup /"
	hostNS     = "--cgroupns=host"
	noCgroups  = "--cgroups=disabled"
	asUser     = "--user=1000:1000"
	keepID     = "--userns=keep-id"
	systemd    = "--systemd=always"
	cgroupfs   = "--cgroup-manager=cgroupfs"
	noPidLimit = "--pids-limit=0" // no controllers, no limit
)

// modes are all that podman has to do with cgroups.
var modes = []mode{
	{name: "default", reason: readOnly},
	{name: "unmask", flags: []string{unmask}},
	{name: "unmask without capabilities", flags: []string{unmask, "--cap-drop=ALL"}},
	{name: "cgroupfs, unmask", flags: []string{cgroupfs, unmask}, shared: true},
	{name: "systemd", flags: []string{systemd}},
	{name: "user", flags: []string{asUser, keepID}, reason: readOnly},
	{name: "user, unmask", flags: []string{asUser, keepID, unmask}, reason: notOurs},
	{name: "bind mount", flags: []string{bindMount}, reason: hostsRoot},
	{name: "cgroupns=host", flags: []string{hostNS}, reason: readOnly},
	{name: "cgroupns=host, unmask", flags: []string{hostNS, unmask}},
	{name: "cgroupns=host, bind mount", flags: []string{hostNS, bindMount}},
	{name: "cgroups=disabled", flags: []string{noCgroups}, reason: readOnly},
	{name: "cgroups=disabled, unmask", flags: []string{noCgroups, unmask}, shared: true},
}

// A style is who is PID 1.
type style struct {
	name  string
	flags []string
	// wrap makes supervise's command line what the container runs.
	wrap func(argv []string, marker string) []string
}

var (
	asPid1     = style{name: "PID 1", wrap: func(argv []string, _ string) []string { return argv }}
	belowInit  = style{name: "below init", flags: []string{"--init"}, wrap: asPid1.wrap}
	belowShell = style{name: "below a shell", wrap: func(argv []string, marker string) []string {
		return append([]string{"sh", "-c", afterwards, marker}, argv...)
	}}
)

// afterwards runs a command and says what it has left alive, or in the cgroups that are ours to look at.
const afterwards = `"$@"; status=$?
for p in /proc/[0-9]*; do case "$(busybox tr '\0' ' ' <$p/cmdline)" in "sleep $0 ") echo "left alive: $p";; esac; done
case "$(cat /proc/self/cgroup)" in *0::/) busybox find /sys/fs/cgroup -maxdepth 1 -name 'jobs-*' | while read d; do echo "left: $d"; done;; esac
exit $status`

// leave is a job that leaves a daemon, says where it is, what cgroups of supervise's there are, and exits 7.
const leave = `busybox setsid sleep %s & while ! grep -q ^sleep /proc/$!/cmdline; do :; done
grep ^0:: /proc/self/cgroup
busybox find /sys/fs/cgroup -name 'jobs-*' | while read d; do echo "session $d"; done
[ ! -d /sys/fs/cgroup/supervisor ] || echo evacuated
echo "controllers $(cat /sys/fs/cgroup/cgroup.controllers)"
exit 7`

func leaveDaemon(marker string) []string { return []string{"sh", "-c", fmt.Sprintf(leave, marker)} }

// superviseIn is supervise's command line in the container, with a record.
func superviseIn(flags []string, job []string) []string {
	argv := append([]string{"/supervise", "run", "--record=-"}, flags...)
	return append(append(argv, "--"), job...)
}

// podman is the command line that runs a command in a container of a mode and a style.
func podman(t *testing.T, m mode, s style, marker string, argv []string, flags ...string) []string {
	t.Helper()
	args := []string{"podman"}
	var options []string
	for _, f := range append(append([]string{}, m.flags...), flags...) {
		if strings.HasPrefix(f, "--cgroup-manager") { // comes before the verb
			args = append(args, f)
		} else {
			options = append(options, f)
		}
	}
	args = append(args, "run", "--rm", noPidLimit, "--network=none", "--volume="+supervise+":/supervise:ro")
	args = append(append(args, options...), s.flags...)
	args = append(args, "--rootfs", findRootfs(t))
	return append(args, s.wrap(argv, marker)...)
}

// findRootfs returns the directory that the bed has for the purpose.
func findRootfs(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/bed/rootfs", "/opt/rootfs"} {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Fatal("the bed has no root file system for containers")
	return ""
}

// newName returns a name for a container.
func newName() string { return "supervise-" + newMarker() }

// possible says whether a mode and a style go together: podman has no --init where it expects systemd.
func possible(m mode, s style) bool { return m.name != "systemd" || s.name != belowInit.name }

// initPath is podman's option for another init than its own, catatonit, which may not be installed.
func initPath(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("catatonit"); err == nil {
		return nil
	}
	path, err := exec.LookPath("tini-static")
	need(t, "catatonit or tini-static", err)
	return []string{"--init-path=" + path}
}

// forEach runs a test in every mode and style.
func forEach(t *testing.T, modes []mode, styles []style, test func(t *testing.T, m mode, s style)) {
	needPodman(t)
	for _, m := range modes {
		for _, s := range styles {
			if !possible(m, s) {
				continue
			}
			t.Run(m.name+"/"+s.name, func(t *testing.T) {
				if s.name == belowInit.name {
					s.flags = append(initPath(t), s.flags...)
				}
				wantNoSessions(t)
				test(t, m, s)
			})
		}
	}
}
