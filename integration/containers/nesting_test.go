package containers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A nest is a supervise with a container in its job, and in that another supervise with a cgroup.
//
// What rootless podman does to the outer job: it has the user's manager move itself and conmon, and make a scope for the
// container; none of them is in the job's cgroup then, but all stay descendants of the outer supervise, which ends them by
// that. Its guardian cannot.
type nest struct {
	t            *testing.T
	marker, name string
	record       string // the file of the outer one
}

func newNest(t *testing.T) *nest {
	wantNoSessions(t)
	n := &nest{t, newMarker(), newName(), filepath.Join(t.TempDir(), "record.json")}
	t.Cleanup(func() { run(t, "podman", "rm", "--force", "--ignore", "--time=0", n.name) }) // its state, if it was killed
	return n
}

// argv is the command line of a nest: the outer flags, how the container is run, the inner job.
func (n *nest) argv(flags []string, m mode, job string, options ...string) []string {
	outer := append([]string{supervise, "run", "--contain=cgroup", "--record=" + n.record}, flags...)
	inner := podman(n.t, m, asPid1, n.marker, superviseIn([]string{"--contain=cgroup"}, []string{"sh", "-c", fmt.Sprintf(job, n.marker)}),
		append(options, "--name="+n.name)...)
	return append(append(outer, "--"), inner...)
}

// outer reads the record of the outer supervise.
func (n *nest) outer() *record {
	n.t.Helper()
	b, err := os.ReadFile(n.record)
	r := &record{}
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// wantOuter checks the outer record: a cgroup, no complaint, and this end.
func (n *nest) wantOuter(cause string) {
	n.t.Helper()
	r := n.outer()
	if r.Containment != "cgroup" || r.Error != nil || r.Cause != cause {
		n.t.Errorf("outer record: containment %q, cause %q, error %v", r.Containment, r.Cause, r.Error)
	}
}

var managers = []mode{
	{name: "systemd", flags: []string{"--cgroup-manager=systemd", unmask}},
	{name: "cgroupfs", flags: []string{cgroupfs, unmask}},
	{name: "cgroups=disabled", flags: []string{noCgroups, unmask}},
}

func forEachManager(t *testing.T, test func(n *nest, m mode)) {
	needPodman(t)
	for _, m := range managers {
		t.Run(m.name, func(t *testing.T) { test(newNest(t), m) })
	}
}

// TestNesting: the inner supervise has a cgroup, and both do what they do elsewhere.
func TestNesting(t *testing.T) {
	forEachManager(t, func(n *nest, m mode) {
		r := run(n.t, n.argv(nil, m, leave)...)
		wantGone(n.t, n.marker, true)
		r.wantCode(7)
		wantEnded(n.t, r.needRecord(), 7)
		wantContainment(n.t, m, r.record)
		n.wantOuter("exited")
	})
}

// TestNestingInDelegated: the same with the outer one in a scope that was delegated to it.
func TestNestingInDelegated(t *testing.T) {
	forEachManager(t, func(n *nest, m mode) {
		r := run(n.t, append(delegated, n.argv(nil, m, leave)...)...)
		wantGone(n.t, n.marker, true)
		r.wantCode(7)
		wantContainment(n.t, m, r.needRecord())
		n.wantOuter("exited")
	})
}

// TestNestingTerm: SIGTERM to the outer one goes through all of them to the innermost job, with and without a grace period.
// With one it goes to every process of the job, and conmon, where podman leaves it in the job's cgroup, does not live to
// tell podman of the container's status.
func TestNestingTerm(t *testing.T) {
	for cause, flags := range map[string][]string{"exited": nil, "killed": {"--grace=60s"}} {
		forEachManager(t, func(n *nest, m mode) {
			p := start(n.t, n.argv(flags, m, tidy)...)
			p.expect("ready")
			p.cmd.Process.Signal(syscall.SIGTERM)
			r := p.wait()
			wantGone(n.t, n.marker, true)
			if r.code != 143 || flags == nil {
				r.wantCode(9)
			}
			if !strings.Contains(r.stdout, "asked\n") {
				n.t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
			}
			n.wantOuter(cause)
		})
	}
}

// TestNestingOwnerGone: the outer end kills all at once, nobody being asked: podman, its monitor, the container.
func TestNestingOwnerGone(t *testing.T) {
	forEachManager(t, func(n *nest, m mode) {
		ours, theirs, err := os.Pipe()
		if err != nil {
			n.t.Fatal(err)
		}
		argv := append([]string{"sh", "-c", `exec "$@" 3<&0 </dev/null`, "sh"}, n.argv([]string{"--owner=fd:3"}, m, tidy)...)
		p := startWith(n.t, ours, argv...)
		ours.Close()
		p.expect("ready")
		theirs.Close()
		r := p.wait()
		wantGone(n.t, n.marker, true)
		wantNoMonitor(n.t, n.name)
		r.wantCode(137)
		if r.stderr != "" {
			n.t.Errorf("stderr %q", r.stderr)
		}
		n.wantOuter("owner-gone")
	})
}

// TestNestingDetached: a container that was started to go on without podman ends with the job that started it, all the same.
func TestNestingDetached(t *testing.T) {
	forEachManager(t, func(n *nest, m mode) {
		argv := n.argv(nil, m, tidy, "--detach")
		at := strings.Join(argv, "\x00")
		before, container, _ := strings.Cut(at, "\x00podman\x00")
		// podman -d returns when the container is made; its job is awaited by what it says.
		const script = `"$@" && until podman logs "$0" | grep -q ready; do sleep 0.01; done; exit 7`
		argv = append(strings.Split(before, "\x00"), "sh", "-c", script, n.name, "podman")
		r := run(n.t, append(argv, strings.Split(container, "\x00")...)...)
		wantGone(n.t, n.marker, true)
		wantNoMonitor(n.t, n.name)
		r.wantCode(7)
		n.wantOuter("exited")
	})
}

// TestNestingShot: kill -9 on the outer supervise ends the container as well, which the user's manager has moved out.
func TestNestingShot(t *testing.T) {
	needPodman(t)
	n := newNest(t)
	run(t, "podman", "ps").wantCode(0) // else the process that keeps its user namespace would be the job's, and be ended
	p := start(t, n.argv(nil, managers[0], tidy)...)
	p.expect("ready")
	both := len(sessions())
	p.cmd.Process.Kill()
	p.cmd.Process.Wait()
	if !eventually(patience, func() bool { return len(sessions()) < both }) {
		t.Error("the outer session is not removed")
	}
	wantGone(t, n.marker, false)
	eventually(patience, func() bool { return len(testbed.Running(n.name+" ")) == 0 })
	wantNoMonitor(t, n.name)
	run(t, "podman", "rm", "--force", n.name).wantCode(0) // podman, ended as well, has not done that
}

// wantNoMonitor fails if a process of podman's for this container is alive.
func wantNoMonitor(t *testing.T, name string) {
	t.Helper()
	for _, command := range testbed.Running(name + " ") {
		t.Errorf("alive: %q", command)
	}
}
