package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A checkup is what these tests read of the JSON of `supervise doctor`.
type checkup struct {
	Schema      string
	Containment string
	Reason      *string
	Road, Root  *string
	Mount       *struct {
		ReadOnly bool `json:"read_only"`
		Shown    bool
	}
	Chain    []struct{ Name string }
	Features []struct {
		Name  string
		Works *bool
	}
	Fixes []struct {
		Name  string
		Lines []string
	}
}

func (c *checkup) fix(name string) bool {
	for _, f := range c.Fixes {
		if f.Name == name {
			return true
		}
	}
	return false
}

// A situation puts a launch in the place that is to be diagnosed. It may spoil the box for others.
type situation func(b *box, l launch) launch

// doctor runs the command in a situation, and checks that its status is that of a job there that must have a cgroup. It
// returns the box of the run whose findings these are.
func doctor(t *testing.T, place situation) (*checkup, *box) {
	t.Helper()
	run := func(args ...string) (outcome, *box) {
		b := newBox(t)
		return b.start(place(b, launch{argv: append([]string{bin.supervise}, args...)})).wait(), b
	}
	job, _ := run("run", "--contain=cgroup", "--", "true")
	text, _ := run("doctor")
	o, b := run("doctor", "--json")
	var c checkup
	if err := json.Unmarshal([]byte(o.stdout), &c); err != nil {
		t.Fatalf("%v: status %d, stdout %q, stderr %q", err, o.code, o.stdout, o.stderr)
	}
	if (o.code == 0) != (job.code == 0) || o.code > 1 {
		t.Errorf("status %d, but that of the job was %d: %s", o.code, job.code, job.stderr)
	}
	if (o.code == 0) != (c.Containment == "cgroup") || o.code != 0 && c.Reason == nil || (o.code == 0) != (c.Root != nil) {
		t.Errorf("status %d, but %s", o.code, o.stdout)
	}
	if c.Schema != "supervise.doctor/1" || o.stderr != "" {
		t.Errorf("schema %q, stderr %q", c.Schema, o.stderr)
	}
	if plan, _ := run("doctor", "--fix-plan"); plan.code != 0 || !strings.HasPrefix(plan.stdout, "#!/bin/sh\n# ") || plan.stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", plan.code, plan.stdout, plan.stderr)
	} else {
		wantShell(t, plan.stdout)
	}
	if text.code != o.code || !strings.HasPrefix(text.stdout, "containment   "+c.Containment) || text.stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", text.code, text.stdout, text.stderr)
	}
	return &c, b
}

// wantShell checks the syntax of a script.
func wantShell(t *testing.T, script string) {
	t.Helper()
	c := exec.Command("sh", "-n")
	c.Stdin = strings.NewReader(script)
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s\n%s", err, out, script)
	}
}

// here changes nothing.
func here(b *box, l launch) launch { return l }

// TestDoctorHere: in a cgroup of our own, if there is one, everything that the kernel has is seen to work.
func TestDoctorHere(t *testing.T) {
	c, b := doctor(t, here)
	if b.group == nil {
		return
	}
	if c.Containment != "cgroup" {
		t.Errorf("containment %q, because %s", c.Containment, orNull(c.Reason))
	}
	own := c.Chain[len(c.Chain)-1].Name
	if !strings.HasSuffix(b.group.path, own) {
		t.Errorf("our own cgroup is %s, not %s", own, b.group.path)
	}
	for _, f := range c.Features {
		if _, err := os.Stat(b.group.file(f.Name)); err == nil && (f.Works == nil || !*f.Works) {
			t.Errorf("%s is there, but does not work", f.Name)
		}
	}
}

// TestDoctorWithout: where there is no cgroup for us, that is what it says, and what to do.
func TestDoctorWithout(t *testing.T) {
	for name, without := range noCgroup {
		t.Run(name, func(t *testing.T) {
			c, _ := doctor(t, without)
			if c.Containment != "subreaper" || c.Mount.ReadOnly != (name == "read-only") || len(c.Fixes) == 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestDoctorForeignMount: a cgroup namespace whose /sys/fs/cgroup is that of the host.
func TestDoctorForeignMount(t *testing.T) {
	needRoot(t)
	needCgroup(t)
	path := testbed.Program(t, "unshare")
	c, _ := doctor(t, func(b *box, l launch) launch {
		l.argv = append([]string{path, "--cgroup", "--"}, l.argv...)
		return l
	})
	if c.Mount == nil || c.Mount.Shown || len(c.Chain) > 0 || !c.fix("mount-own-cgroup") {
		t.Errorf("%+v", c)
	}
}

// TestDoctorUserNamespace: root there is not root to the cgroups.
func TestDoctorUserNamespace(t *testing.T) {
	path := testbed.Program(t, "unshare")
	testbed.Need(t, "user namespaces", exec.Command(path, "--user", "--map-root-user", "true").Run())
	c, _ := doctor(t, func(b *box, l launch) launch {
		if os.Geteuid() == 0 {
			l.attr.Credential = &syscall.Credential{Uid: uint32(spareUID), Gid: uint32(spareUID)}
		}
		l.argv = append([]string{path, "--user", "--map-root-user", "--"}, l.argv...)
		return l
	})
	if os.Geteuid() == 0 && !c.fix("user-namespace") {
		t.Errorf("%+v", c)
	}
}

// TestDoctorNowhere: without /sys and /proc there is still an answer.
func TestDoctorNowhere(t *testing.T) {
	path := testbed.Program(t, "bwrap")
	sandbox := []string{path, "--ro-bind", bin.supervise, "/supervise", "--"}
	testbed.Need(t, "bwrap", exec.Command(path, append(sandbox[1:], "/supervise", "version")...).Run())
	b := newBox(t)
	o := b.start(launch{argv: append(sandbox, "/supervise", "doctor")}).wait()
	if o.code != 1 || !strings.Contains(o.stdout, "no cgroup2 file system") || o.stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
	}
}

// TestDoctorInterrupted: whenever it is told to end, nothing is left; the box looks.
func TestDoctorInterrupted(t *testing.T) {
	path := testbed.Program(t, "timeout")
	b := newBox(t)
	for i := range 40 {
		limit := fmt.Sprintf("%.4fs", float64(i+1)/10000)
		o := b.start(launch{argv: []string{path, "--signal=TERM", limit, bin.supervise, "doctor"}}).wait()
		if o.code != 0 && o.code != 1 && o.code != 124 {
			t.Errorf("after %s: status %d, stderr %q", limit, o.code, o.stderr)
		}
	}
}

// TestDoctorDeaf: a supervise-scope that says nothing is not waited for once doctor is told to end. It would be for 6 s.
func TestDoctorDeaf(t *testing.T) {
	b := newBox(t)
	program, err := os.ReadFile(bin.supervise)
	if err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(b.dir, "asked")
	for name, text := range map[string]string{"supervise": string(program), "supervise-scope": "#!/bin/sh\n>" + asked + "\nexec sleep 60\n"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := b.start(launch{argv: []string{filepath.Join(b.dir, "supervise"), "doctor"}})
	eventually(t, "supervise-scope is asked", func() error {
		_, err := os.Stat(asked)
		return err
	})
	told := time.Now()
	p.signal(syscall.SIGTERM)
	if o := p.wait(); o.signal != syscall.SIGTERM {
		t.Errorf("status %d, signal %v, stdout %q, stderr %q", o.code, o.signal, o.stdout, o.stderr)
	}
	if took := p.ended.Sub(told); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
