package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// unwritable changes a launch so that supervise finds no cgroup that it may write: root becomes a user that owns nothing, a
// user takes away its own rights to the box's cgroup, once it is inside.
func (b *box) unwritable(l launch) launch {
	b.t.Helper()
	if err := os.Chmod(b.dir, 0o777); err != nil {
		b.t.Fatal(err)
	}
	if managed {
		l = b.withoutScopes(l)
	}
	switch {
	case os.Geteuid() == 0:
		l.attr.Credential = &syscall.Credential{Uid: uint32(spareUID), Gid: uint32(spareUID)}
	case b.group != nil:
		const script = `chmod 444 "$0"/cgroup.procs && chmod 555 "$0" && exec "$@"`
		l.argv = sh(script, append([]string{b.group.path}, l.argv...)...)
	}
	return l
}

// managed says that systemd runs here, which would make a scope.
var managed = func() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}()

// withoutScopes changes a launch so that supervise finds no manager: in a copy without supervise-scope beside it.
func (b *box) withoutScopes(l launch) launch {
	b.t.Helper()
	alone := filepath.Join(b.dir, "supervise")
	if _, err := os.Stat(alone); err != nil {
		data, err := os.ReadFile(bin.supervise)
		if err == nil {
			err = os.WriteFile(alone, data, 0o755)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	l.env = append(slices.Clone(l.env), "XDG_RUNTIME_DIR=/nonexistent")
	l.argv = slices.Clone(l.argv)
	for i, word := range l.argv {
		if word == bin.supervise {
			l.argv[i] = alone
		}
	}
	return l
}

// readOnly wraps a launch so that all of /sys, cgroups included, is read-only, as in a container.
func (b *box) readOnly(l launch) launch {
	b.t.Helper()
	path := testbed.Program(b.t, "bwrap")
	sandbox := []string{path, "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", b.dir, b.dir, "--"}
	testbed.Need(b.t, "bwrap", exec.Command(path, append(sandbox[1:], "true")...).Run())
	l.argv = append(sandbox, l.argv...)
	return l
}

// noCgroup are the ways to be without.
var noCgroup = map[string]func(b *box, l launch) launch{
	"unwritable": (*box).unwritable,
	"read-only":  (*box).readOnly,
}

// TestFallsBack: auto does without a cgroup, and says so and why in the record, and is as good at ending the job.
func TestFallsBack(t *testing.T) {
	for name, without := range noCgroup {
		t.Run(name, func(t *testing.T) {
			for _, flags := range [][]string{nil, {"--contain=auto"}, {"--contain", "auto", "--leftovers=kill"}} {
				b := newBox(t)
				p := b.start(without(b, b.supervise(flags, adversary("daemon", "-exit=7")...)))
				p.expect("ready")
				p.closeStdin()
				o := p.wait()
				byMain.check(o, inSubreaper)
				if o.record.ContainmentReason == nil || *o.record.ContainmentReason == "" {
					t.Error("record: no containment_reason")
				} else {
					t.Logf("containment_reason: %s", *o.record.ContainmentReason)
				}
				if o.stderr != "" && !(managed && strings.Count(o.stderr, "\n") == 1 && strings.Contains(o.stderr, "the job is held without a cgroup")) {
					t.Errorf("stderr %q: to fall back is no error", o.stderr)
				}
			}
		})
	}
}

// TestFallbackWithout: what needs a cgroup and can be done without is not had, which is said once, and in the record. Asked for
// beside --contain=subreaper it is refused.
func TestFallbackWithout(t *testing.T) {
	for name, without := range noCgroup {
		for _, tt := range []struct {
			flags []string
			want  []string // unenforced
		}{
			{[]string{"--sample=1"}, []string{"sample"}},
			{[]string{"--samples=DIR/samples"}, []string{"sample", "samples"}},
			{[]string{"--marks=fd:2"}, []string{"marks"}},
			{[]string{"--slice=batch"}, []string{"slice"}},
			{[]string{"--sample=1", "--marks=fd:2", "--no-guard"}, []string{"sample", "marks"}},
			{[]string{"--slice=batch.slice", "--no-guard"}, []string{"slice"}},
		} {
			t.Run(name+strings.Join(tt.flags, ""), func(t *testing.T) {
				b := newBox(t)
				flags := slices.Clone(tt.flags)
				flags[0] = strings.Replace(flags[0], "DIR", b.dir, 1)
				o := b.start(without(b, b.supervise(flags, "true"))).wait()
				o.wantCode(0)
				var got []string
				for _, u := range o.wantRecord(inSubreaper, "exited").Unenforced {
					got = append(got, u.Name)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("unenforced %q, want %q", got, tt.want)
				}
				if lines := strings.Count(o.stderr, "\n"); lines != 1 && !(managed && lines == 2) || !strings.Contains(o.stderr, "--"+tt.want[0]) {
					t.Errorf("stderr %q", o.stderr)
				}
				b = newBox(t)
				o = b.start(b.run(inSubreaper, tt.flags, "true")).wait()
				o.wantCode(2)
				if strings.Count(o.stderr, "\n") != 1 {
					t.Errorf("with --contain=subreaper: stderr %q", o.stderr)
				}
			})
		}
	}
}

// TestFallbackKilled: also where the fallback was not asked for, kill -9 ends the job.
func TestFallbackKilled(t *testing.T) {
	for name, without := range noCgroup {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			p := b.start(without(b, b.supervise(nil, adversary("daemon")...)))
			p.expect("ready")
			pid := p.pid()
			for comm(pid) != "supervise" { // bwrap is above
				pid = testbed.Children(pid)[0]
			}
			p.killed.Store(true)
			syscall.Kill(pid, syscall.SIGKILL)
			p.wait()
		})
	}
}

// TestFailsClosed: --contain=cgroup means it.
func TestFailsClosed(t *testing.T) {
	for name, without := range noCgroup {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			o := b.start(without(b, b.run(inCgroup, nil, "echo", "started"))).wait()
			o.wantCode(125)
			if o.stdout != "" {
				t.Errorf("the job was started: %q", o.stdout)
			}
			if !strings.Contains(o.stderr, "cgroup") || strings.Count(o.stderr, "\n") > 2 {
				t.Errorf("stderr %q", o.stderr)
			}
			if o.record != nil && (o.record.Cause != "start-failed" || o.record.Exit != nil) {
				t.Errorf("record %+v", o.record)
			}
		})
	}
}

// TestGivenCgroup: --cgroup names the root, and no other will do.
func TestGivenCgroup(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	root, err := makeGroup(b.group.file("given"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.destroy() })
	l := b.supervise([]string{"--cgroup", root.path}, sh("grep ^0:: /proc/self/cgroup")...)
	o := b.start(l).wait()
	o.wantCode(0)
	o.wantRecord(inCgroup, "exited")
	if !strings.Contains(o.stdout, "/given/jobs-") {
		t.Errorf("the job ran in %q, not below %s", o.stdout, root.path)
	}
	if left := root.dirs(); len(left) > 0 {
		t.Errorf("left in the given cgroup: %q", left)
	}
}

func TestGivenCgroupIsNone(t *testing.T) {
	for _, dir := range []string{"/nonexistent", t.TempDir(), "/proc", "relative/path", ""} {
		b := newBox(t)
		o := b.supervised("run", "--cgroup="+dir, "--", "echo", "started")
		if o.code != 125 && o.code != 2 || o.stdout != "" {
			t.Errorf("--cgroup=%s: status %d, stdout %q, stderr %q; want 125 (or 2), and no job", dir, o.code, o.stdout, o.stderr)
		}
	}
}

// TestSubreaperMeansIt: --contain=subreaper uses no cgroup, though there is one.
func TestSubreaperMeansIt(t *testing.T) {
	b := newBox(t)
	o := b.start(b.run(inSubreaper, nil, sh("grep ^0:: /proc/self/cgroup")...)).wait()
	o.wantCode(0)
	o.wantRecord(inSubreaper, "exited")
	if strings.Contains(o.stdout, "jobs-") {
		t.Errorf("the job ran in %q", o.stdout)
	}
}

// TestSubreaperWithCgroup: two flags that contradict each other.
func TestSubreaperWithCgroup(t *testing.T) {
	b := newBox(t)
	o := b.supervised("run", "--contain=subreaper", "--cgroup=/sys/fs/cgroup", "--", "echo", "started")
	if o.code != 2 && o.code != 125 || o.stdout != "" {
		t.Errorf("status %d, stdout %q, stderr %q; want 2 (or 125), and no job", o.code, o.stdout, o.stderr)
	}
}

// TestSliceWithoutSystemd: a slice is systemd's, and not to be had without.
func TestSliceWithoutSystemd(t *testing.T) {
	if managed {
		t.Skip("systemd runs here: integration/systemd tests --slice")
	}
	b := newBox(t)
	o := b.start(b.supervise([]string{"--contain=cgroup", "--slice=a.slice"}, "echo", "started")).wait()
	o.wantCode(125)
	if o.stdout != "" || !strings.Contains(o.stderr, "--slice: systemd does not run here") {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}
