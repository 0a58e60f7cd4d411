package cgroup

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A place is a tree of cgroups below a test's root, as a table has it.
type place struct {
	t    *testing.T
	root string
}

// dir makes a cgroup with attributes, all ways down to it included.
func (p place) dir(name string, attrs ...string) *dir {
	p.t.Helper()
	at := path.Join(p.root, name)
	if err := os.MkdirAll(at, 0o755); err != nil {
		p.t.Fatal(err)
	}
	d, err := openDir(at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		d.close()
		for rest := at; rest != p.root; rest = path.Dir(rest) {
			unix.Rmdir(rest)
		}
	})
	for _, attr := range attrs {
		if err := unix.Fsetxattr(d.fd, attr, []byte("1"), 0); err != nil {
			p.t.Fatal(err)
		}
	}
	return d
}

// populate puts a process into a cgroup until the end of the test.
func (p place) populate(name string) (pid int) {
	p.t.Helper()
	d := p.dir(name)
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: d.fd},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
	})
	return pid
}

// judge judges for a process that is in a cgroup of the tree.
func (p place) judge(own string, managed bool, ours ...int) *Judgment {
	p.t.Helper()
	d, err := openDir(path.Join(p.root, own))
	if err != nil {
		p.t.Fatal(err)
	}
	s := &standing{dir: d, ours: ours, managed: managed}
	s.position = position{mount: mount{point: p.root, root: "/"}, own: own, path: d.path}
	leant := false
	s.Own, s.leaning = own, func() { leant = true }
	s.judge()
	p.t.Cleanup(s.Close)
	if s.Verdict == NewScope != leant {
		p.t.Errorf("leaning to a new scope was told: %t", leant)
	}
	return &s.Judgment
}

// text is the verdict and the roots, as "Inside: nested /a, shared /a/main".
func (p place) text(j *Judgment) string {
	j.judgeLate()
	var roots []string
	for _, r := range j.roots {
		roots = append(roots, string(r.origin)+" "+strings.TrimPrefix(r.path, p.root))
	}
	verdict := [...]string{"inside", "new scope " + j.Slice, "ask the manager"}[j.Verdict]
	if j.err != nil {
		roots = append(roots, "error")
	}
	return verdict + ": " + strings.Join(roots, ", ")
}

// TestJudge is the table above Judge, row by row. The process that is judged is another one:
// this test's own cgroup is none of the tree.
func TestJudge(t *testing.T) {
	const job, session, delegate = xattrJob, xattrSession, "user.delegate"
	user := fmt.Sprintf("/user.slice/user-%d.slice", os.Geteuid())
	for _, tt := range []struct {
		name    string
		own     string
		tree    []string // cgroups with their attributes, "x" populates one
		managed bool
		want    string
		reason  string
	}{
		{"a leaf of a job", "/jobs-1/j/main", []string{"/jobs-1/j " + job}, true, "inside: nested /jobs-1/j, shared /jobs-1/j/main", "a job of another supervise"},
		{"the same without systemd", "/jobs-1/j/main", []string{"/jobs-1/j " + job}, false, "inside: nested /jobs-1/j, shared /jobs-1/j/main", ""},
		{"below the leaf", "/jobs-1/j/main/x", []string{"/jobs-1/j " + job, "/jobs-1/j/main/x x"}, true, "inside: shared /jobs-1/j/main/x", "made inside a job"},
		{"the node itself", "/jobs-1/j/x", []string{"/jobs-1/j " + job}, false, "inside: shared /jobs-1/j/x", "made inside a job"},
		{"Slurm", "/system.slice/n1_slurmstepd.scope/job_1/step_0/user/task_0", nil, true, "inside: error", ""},
		{"Slurm without systemd", "/n1_slurmstepd.scope/job_1", nil, false, "inside: error", ""},
		{"another manager's", "/system.slice/ci.service/worker", []string{"/system.slice/ci.service " + delegate}, true, "inside: shared /system.slice/ci.service/worker", "another program"},
		{"another manager's, without systemd", "/machine.slice/libpod-1.scope/container", nil, false, "inside: shared /machine.slice/libpod-1.scope/container", "another program"},
		{"where supervise has moved itself", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service " + delegate}, true,
			"inside: delegated /a.slice/ci.service, shared /a.slice/ci.service/supervisor", "delegated"},
		{"the same, with sessions", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service " + delegate, "/a.slice/ci.service/jobs-2 " + session + " x"}, true,
			"inside: delegated /a.slice/ci.service, shared /a.slice/ci.service/supervisor", "delegated"},
		{"the same, with a stranger's", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service " + delegate, "/a.slice/ci.service/other x"}, true,
			"inside: shared /a.slice/ci.service/supervisor", "holds other"},
		{"the same, with a stranger's that is empty", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service " + delegate, "/a.slice/ci.service/other"}, true,
			"inside: delegated /a.slice/ci.service, shared /a.slice/ci.service/supervisor", "delegated"},
		{"the same, with processes", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service " + delegate + " x"}, true,
			"inside: shared /a.slice/ci.service/supervisor", "holds other"},
		{"the same, not delegated", "/a.slice/ci.service/supervisor", []string{"/a.slice/ci.service"}, true, "inside: shared /a.slice/ci.service/supervisor", "not delegated"},
		{"a delegated service with others", "/a.slice/ci.service", []string{"/a.slice/ci.service " + delegate + " x"}, true, "inside: shared /a.slice/ci.service", "holds other"},
		{"a service", "/a.slice/ci.service", []string{"/a.slice/ci.service x"}, true, "inside: shared /a.slice/ci.service", "not delegated"},
		{"a session", user + "/session-2.scope", []string{user + "/session-2.scope x"}, true, "new scope SLICE: shared OWN", "no limit of session-2.scope"},
		{"a delegated scope with others", "/a.slice/b.scope", []string{"/a.slice/b.scope " + delegate + " x"}, true, "new scope SLICE: shared OWN", "no limit"},
		{"a scope", "/a.slice/b.scope", []string{"/a.slice/b.scope x"}, true, "new scope SLICE: shared OWN", "no limit"},
		{"below the leaf, named as a unit", "/jobs-1/j/main/x.scope", []string{"/jobs-1/j " + job, "/jobs-1/j/main/x.scope x"}, true,
			"inside: shared /jobs-1/j/main/x.scope", "made inside a job"},
		{"below a service, named as a unit", "/a.slice/ci.service/x.scope", []string{"/a.slice/ci.service/x.scope x"}, true,
			"inside: shared /a.slice/ci.service/x.scope", "another program"},
		{"in no unit", "/batch/j", []string{"/batch/j x"}, true, "inside: shared /batch/j", "another program"},
		{"in a slice, in no unit", "/a.slice/j", []string{"/a.slice/j x"}, true, "inside: shared /a.slice/j", "another program"},
		{"a slice", "/a.slice", []string{"/a.slice x"}, true, "new scope SLICE: shared OWN", "no limit"},
		{"without systemd, others", "/a", []string{"/a x"}, false, "inside: shared /a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := place{t, testRoot(t)}
			for _, line := range append(tt.tree, tt.own) {
				f := strings.Fields(line)
				attrs := slices.DeleteFunc(f[1:], func(s string) bool { return s == "x" })
				p.dir(f[0], attrs...)
				if len(attrs) < len(strings.Fields(line))-1 {
					p.populate(f[0])
				}
			}
			j := p.judge(tt.own, tt.managed)
			_, slice := scopeParent(tt.own)
			want := strings.NewReplacer("SLICE", slice, "OWN", tt.own).Replace(tt.want)
			if got := p.text(j); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !strings.Contains(j.Reason, tt.reason) || tt.reason == "" && j.Reason != "" {
				t.Errorf("reason %q, want %q", j.Reason, tt.reason)
			}
		})
	}
}

// TestJudgeAlone: a cgroup with this process alone, or with processes that are the caller's.
func TestJudgeAlone(t *testing.T) {
	const own = "/a.slice/ci.service"
	for _, tt := range []struct {
		tree    []string
		managed bool
		strange bool
		want    string
	}{
		{[]string{"user.delegate"}, true, false, "inside: delegated " + own},
		{[]string{"user.delegate"}, true, true, "inside: shared " + own}, // another program's sub-cgroup
		{nil, true, false, "inside: shared " + own},
		{nil, false, false, "inside: delegated " + own},
	} {
		p := place{t, testRoot(t)}
		p.dir(own, tt.tree...)
		if tt.strange {
			p.populate(own + "/worker")
		}
		pid := p.populate(own)
		if got := p.text(p.judge(own, tt.managed, pid)); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
		if got, want := p.text(p.judge(own, tt.managed)), "inside: shared "+own; got != want {
			t.Errorf("%+v, with others: %s", tt, got)
		}
	}
}

// TestOwners: no place below a directory of another user, for root either.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	for _, tt := range []struct {
		name string
		do   func(at string) error
		want string
	}{
		{"the directory", func(at string) error { return os.Chown(at, 1234, -1) }, "user 1234"},
		{"cgroup.procs", func(at string) error { return os.Chown(at+"/cgroup.procs", 1234, -1) }, "cgroup.procs belongs to user 1234"},
		{"the group", func(at string) error { os.Chown(at, -1, 1234); return os.Chmod(at, 0o775) }, "group 1234"},
		{"all", func(at string) error { return os.Chmod(at+"/cgroup.procs", 0o646) }, "all users"},
		{"ours", func(at string) error { return os.Chown(at, os.Geteuid(), -1) }, ""},
	} {
		for _, level := range []string{"/jobs-1/j", "/jobs-1/j/main", "/jobs-1"} {
			p := place{t, testRoot(t)}
			p.dir("/jobs-1/j", xattrJob)
			p.dir("/jobs-1/j/main")
			if err := tt.do(p.root + level); err != nil {
				t.Fatal(err)
			}
			j := p.judge("/jobs-1/j/main", true)
			switch got := p.text(j); {
			case tt.want == "" && !strings.HasPrefix(got, "inside: nested"):
				t.Errorf("%s of %s: %s", tt.name, level, got)
			case tt.want == "":
			case level == "/jobs-1/j/main" && got == "inside: nested /jobs-1/j, shared /jobs-1/j/main": // the place is beside it
			case got != "inside: error" || !strings.Contains(j.err.Error(), tt.want):
				t.Errorf("%s of %s: %s, %v, want %q", tt.name, level, got, j.err, tt.want)
			}
		}
	}
}

// TestOwnersAlone: nor is a cgroup that this process has for itself a place, if another user
// owns it: root in a unit that is delegated to a user.
func TestOwnersAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	for _, managed := range []bool{true, false} {
		p := place{t, testRoot(t)}
		d := p.dir("/a.slice/ci.service", "user.delegate")
		pid := p.populate("/a.slice/ci.service")
		if err := os.Chown(d.path, 1234, -1); err != nil {
			t.Fatal(err)
		}
		if j := p.judge("/a.slice/ci.service", managed, pid); p.text(j) != "inside: error" || !strings.Contains(j.err.Error(), "user 1234") {
			t.Errorf("managed %v: %s, %v", managed, p.text(j), j.err)
		}
	}
}

// TestOwnersScope: that the own cgroup is another user's, as below sudo, is nothing to a new scope, whose reason is told.
func TestOwnersScope(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give directories away")
	}
	p := place{t, testRoot(t)}
	d := p.dir("/a.slice/b.scope")
	p.populate("/a.slice/b.scope")
	if err := os.Chown(d.path, 1234, -1); err != nil {
		t.Fatal(err)
	}
	if j := p.judge("/a.slice/b.scope", true); j.Verdict != NewScope || !strings.Contains(j.Reason, "no limit of b.scope") {
		t.Errorf("%s, reason %q", p.text(j), j.Reason)
	}
}

// TestLeftBehind: a limit on the way keeps a job in its place. Hugetlb stands in for the
// controllers that this machine may lack.
func TestLeftBehind(t *testing.T) {
	p := place{t, testRoot(t)}
	top := p.dir("/")
	if list, err := top.list("cgroup.controllers"); err != nil || !slices.Contains(list, "hugetlb") {
		t.Skipf("no hugetlb here: %v, %v", list, err)
	}
	p.dir("/user.slice/a.scope")
	p.populate("/user.slice/a.scope")
	mid := p.dir("/user.slice")
	for _, d := range []*dir{top, mid} {
		if err := d.write("cgroup.subtree_control", "+hugetlb"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := p.judge("/user.slice/a.scope", true).Verdict, NewScope; got != want {
		t.Errorf("without a limit: %v", got)
	}
	own := p.dir("/user.slice/a.scope")
	if err := own.write("hugetlb.2MB.max", "0"); err != nil {
		t.Fatal(err)
	}
	j := p.judge("/user.slice/a.scope", true)
	if j.Verdict != Inside || !strings.Contains(j.Reason, "hugetlb.2MB.max of /user.slice/a.scope") {
		t.Errorf("verdict %v, %q", j.Verdict, j.Reason)
	}
	m := mount{point: p.root, root: "/"}
	for _, tt := range []struct{ from, to, want string }{
		{"/user.slice/a.scope", "/user.slice/a.scope/x", ""},
		{"/user.slice/a.scope", "/user.slice", "hugetlb.2MB.max of /user.slice/a.scope"},
		{"/user.slice/a.scope", "/b", "hugetlb.2MB.max of /user.slice/a.scope"},
		{"/user.slice", "/b", ""},
	} {
		got, err := m.leftBehind(tt.from, tt.to)
		if err != nil || strings.Join(got, ", ") != tt.want {
			t.Errorf("%s to %s: %v, %v", tt.from, tt.to, got, err)
		}
	}
}

func TestIsLimit(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"memory.max", "max", false}, {"memory.max", "0", true}, {"memory.high", "1048576", true},
		{"cpu.max", "max 100000", false}, {"cpu.max", "50000 100000", true},
		{"cpuset.cpus", "", false}, {"cpuset.cpus", "0-1", true},
		{"io.max", "", false}, {"io.max", "8:0 rbps=1 wbps=max riops=max wiops=max", true},
		{"pids.max", "20", true}, {"pids.max", "max", false},
		{"pids.max", fmt.Sprint(defaultTasks() - 1), true}, {"pids.max", fmt.Sprint(defaultTasks() + 1), false},
	} {
		if got := isLimit(tt.name, tt.value); got != tt.want {
			t.Errorf("%s %q: %t", tt.name, tt.value, got)
		}
	}
}

func TestCommonAncestor(t *testing.T) {
	for _, tt := range [][3]string{
		{"/a/b", "/a/c", "/a"}, {"/a/b", "/a/b", "/a/b"}, {"/a", "/a/b", "/a"}, {"/a/b", "/a", "/a"},
		{"/a/b", "/ab", "/"}, {"/", "/a", "/"}, {"/a", "/", "/"},
	} {
		if got := commonAncestor(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s and %s: %s", tt[0], tt[1], got)
		}
	}
}

// TestScopeParent: a scope goes into the slice of the own unit where the same manager makes
// both.
func TestScopeParent(t *testing.T) {
	uid := os.Geteuid()
	user := fmt.Sprintf("/user.slice/user-%d.slice", uid)
	manager := fmt.Sprintf("%s/user@%d.service", user, uid)
	tests := map[string][2]string{
		user + "/session-2.scope":                    {manager + "/app.slice", ""},
		manager + "/app.slice/a.scope":               {manager + "/app.slice", "app.slice"},
		manager + "/app.slice/app-x.slice/a.service": {manager + "/app.slice/app-x.slice", "app-x.slice"},
		manager + "/init.scope":                      {manager + "/app.slice", ""},
		"/system.slice/cron.service":                 {manager + "/app.slice", ""},
		"/":                                          {manager + "/app.slice", ""},
	}
	if uid == 0 {
		tests = map[string][2]string{
			"/user.slice/user-1000.slice/session-2.scope": {"/user.slice/user-1000.slice", "user-1000.slice"},
			"/system.slice/cron.service":                  {"/system.slice", "system.slice"},
			"/init.scope":                                 {"/system.slice", ""},
			"/":                                           {"/system.slice", ""},
			"/user.slice/user-1000.slice/user@1000.service/app.slice/vte.scope":      {"/user.slice/user-1000.slice", "user-1000.slice"},
			"/user.slice/user-0.slice/user@0.service/app.slice/a.scope":              {"/user.slice/user-0.slice", "user-0.slice"},
			"/machine.slice/machine-a.scope/payload/system.slice/docker.service/sub": {"/machine.slice/machine-a.scope/payload/system.slice", "system.slice"},
		}
	}
	for own, want := range tests {
		if parent, slice := scopeParent(own); parent != want[0] || slice != want[1] {
			t.Errorf("%s: %s, %q; want %v", own, parent, slice, want)
		}
	}
}

func TestParseSubgroup(t *testing.T) {
	for _, tt := range []struct {
		text, sub string
		want      bool
	}{
		{"[Service]\nDelegateSubgroup=runner\n", "runner", true},
		{"DelegateSubgroup=runner", "run", false},
		{"# DelegateSubgroup=runner\n", "runner", false},
		{"DelegateSubgroup=\n", "", false},
		{"", "x", false},
	} {
		if got := parseSubgroup([]byte(tt.text), tt.sub); got != tt.want {
			t.Errorf("%q, %q: %t", tt.text, tt.sub, got)
		}
	}
}
