package containers

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// delegated runs a command in a scope that the user's manager delegates.
var delegated = []string{"systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes"}

const (
	noBus = "the manager is outside our PID namespace"
)

// A sandbox is a program that makes namespaces, and what supervise finds in them in a bed, as an ordinary user.
type sandbox struct {
	name string
	argv []string
	// delegated: it is started in a scope of the user's own.
	delegated bool
	cgroup    bool
	reasons   []string // parts of the containment_reason
}

var bwrap = []string{"bwrap", "--dev-bind", "/", "/", "--die-with-parent"}

var bwrapPid = append(append([]string{}, bwrap...), "--unshare-pid", "--proc", "/proc")

const (
	ownMount = `mount -t tmpfs none /mnt; mkdir /mnt/host; mount --rbind /sys/fs/cgroup /mnt/host
mount -t tmpfs none /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; mount -t tmpfs none /run
`
	hostMount = "mount --bind /mnt/host /sys/fs/cgroup\n"
)

// mounting is unshare with mounts of its own.
func mounting(script string) []string {
	return []string{"unshare", "-UrCm", "sh", "-ec", script + `exec "$@"`, "sh"}
}

func with(argv []string, more ...string) []string {
	return append(append([]string{}, argv...), more...)
}

var sandboxes = []sandbox{
	{name: "bwrap", argv: bwrap, cgroup: true},                    // a scope
	{name: "bwrap pid", argv: bwrapPid, reasons: []string{noBus}}, // the manager would move another
	{name: "bwrap pid delegated", argv: bwrapPid, delegated: true, cgroup: true, reasons: []string{noBus}},
	{name: "bwrap pid delegated without /run", argv: with(bwrapPid, "--tmpfs", "/run"), delegated: true, cgroup: true},
	{name: "bwrap read-only", argv: with(bwrapPid, "--ro-bind", "/sys/fs/cgroup", "/sys/fs/cgroup"), delegated: true,
		reasons: []string{readOnly}},
	{name: "bwrap without cgroups", argv: with(bwrapPid, "--tmpfs", "/sys/fs/cgroup"), delegated: true,
		reasons: []string{"no such file or directory"}},
	{name: "bwrap cgroup namespace", argv: with(bwrapPid, "--unshare-cgroup"), delegated: true, reasons: []string{hostsRoot}},
	{name: "unshare", argv: []string{"unshare", "-Ur"}, cgroup: true}, // a scope: outside we are who we are
	{name: "unshare delegated", argv: []string{"unshare", "-Ur"}, delegated: true, cgroup: true},
	{name: "unshare pid", argv: []string{"unshare", "-Urpf", "--mount-proc"}, reasons: []string{noBus}},
	// That unshare itself is in the cgroup, unseen, is known: a scope is asked for.
	{name: "unshare pid delegated", argv: []string{"unshare", "-Urpf", "--mount-proc"}, delegated: true, cgroup: true,
		reasons: []string{noBus}},
	{name: "unshare cgroup namespace", argv: []string{"unshare", "-UrC"}, delegated: true, reasons: []string{hostsRoot}},
	// With a mount of our own in front: the scope is the root of the namespace, and only below it is anything written.
	{name: "unshare cgroup namespace, mounted", argv: mounting(ownMount), delegated: true, cgroup: true},
	// And behind the host's: at our path there is the host's root.
	{name: "unshare cgroup namespace, mounted behind", argv: mounting(ownMount + hostMount), delegated: true, reasons: []string{hostsRoot}},
}

// outside is a job that leaves a daemon and exits 7.
const outside = `setsid sleep "$0" & while ! grep -q ^sleep /proc/$!/cmdline; do :; done; grep ^0:: /proc/self/cgroup; exit 7`

// TestSandboxes: in namespaces that an ordinary user makes, the job is held, by a cgroup where the place allows it. Outside
// of a bed it is only known that one of both ways is taken.
func TestSandboxes(t *testing.T) {
	for _, s := range sandboxes {
		t.Run(s.name, func(t *testing.T) {
			argv := s.argv
			if s.delegated && inBed() && os.Geteuid() != 0 {
				argv = with(delegated, argv...)
			}
			need(t, s.argv[0], exec.Command(argv[0], with(argv[1:], "true")...).Run())
			wantNoSessions(t)
			marker := newMarker()
			r := run(t, with(argv, supervise, "run", "--record=-", "--", "sh", "-c", outside, marker)...)
			wantGone(t, marker, true)
			r.wantCode(7)
			record := r.needRecord()
			t.Logf("%s %s %s", record.Containment, record.cgroup(), record.reason())
			wantEnded(t, record, 7)
			s.check(t, record)
		})
	}
}

func (s sandbox) check(t *testing.T, r *record) {
	t.Helper()
	if !inBed() || os.Geteuid() == 0 {
		if r.Containment == "subreaper" && r.reason() == "" {
			t.Error("in the fallback, and no reason")
		}
		return
	}
	if (r.Containment == "cgroup") != s.cgroup || r.Containment == "subreaper" && len(s.reasons) == 0 {
		t.Errorf("containment %q, reason %q", r.Containment, r.reason())
	}
	for _, part := range s.reasons {
		if !strings.Contains(r.reason(), part) {
			t.Errorf("containment_reason %q, want %q in it", r.reason(), part)
		}
	}
}

// TestForeignProc: a PID namespace without a /proc of its own is refused before anything runs.
func TestForeignProc(t *testing.T) {
	for name, argv := range map[string][]string{"bwrap": with(bwrap, "--unshare-pid"), "unshare": {"unshare", "-Urpf"}} {
		t.Run(name, func(t *testing.T) {
			need(t, argv[0], exec.Command(argv[0], with(argv[1:], "true")...).Run())
			r := run(t, with(argv, supervise, "run", "--", "echo", "ran")...)
			r.wantCode(125)
			if r.stdout != "" || !strings.Contains(r.stderr, "/proc") {
				t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
			}
		})
	}
}
