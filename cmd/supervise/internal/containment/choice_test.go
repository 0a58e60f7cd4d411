package containment

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/protocol"
)

// TestChoose takes the cgroup that was named, with all for the one job in it.
func TestChoose(t *testing.T) {
	dir := ground(t)
	p := choose(t, Options{Mode: Cgroup, Cgroup: dir, JobName: "one", Numbers: true})
	if !p.InCgroup() || p.Job() == nil || p.Reason() != "" || !strings.HasPrefix(p.Job().Path(), dir+"/"+p.Session().Name()+"/") {
		t.Errorf("%+v", p)
	}
	if p.Job().Name() != "one" {
		t.Errorf("the job is called %s", p.Job().Name())
	}
	r := run(t, p, "exit 3")
	if r.Containment != protocol.ContainmentCgroup || r.Cgroup == nil || !strings.HasPrefix(*r.Cgroup, dir) || r.ContainmentReason != nil || r.Error != nil {
		t.Errorf("%+v", r)
	}
	if r.CPU.TotalS == nil {
		t.Error("the record does not say what the job used")
	}
}

// TestChooseNumbers: counters that are not asked for are not read.
func TestChooseNumbers(t *testing.T) {
	p := choose(t, Options{Cgroup: ground(t), JobName: "one"})
	if r := run(t, p, "exit 0"); r.CPU.TotalS != nil || p.Job().Account() != nil {
		t.Errorf("%+v", r.CPU)
	}
}

// TestRefused: what may be had only in one way is an error, and says which; nothing is
// left.
func TestRefused(t *testing.T) {
	dir := ground(t)
	memory := limit(t, "memory-max", "1G")
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"no such cgroup", Options{Cgroup: dir + "/none"}, []string{"--cgroup " + dir + "/none: "}},
		{"no such cgroup, and no other way", Options{Mode: Cgroup, Cgroup: dir + "/none"}, []string{"cgroup containment is not to be had", "--contain=auto"}},
		{"limit", Options{Cgroup: dir, JobName: "one", Limits: memory}, []string{"memory"}},
		{"limit, and no other way", Options{Mode: Cgroup, Cgroup: dir, JobName: "one", Limits: memory}, []string{"memory"}},
		{"limit by descent", Options{Mode: Subreaper, Limits: memory}, []string{"--memory-max 1G needs a cgroup: --contain=subreaper"}},
	}
	if !cgroup.Managed() {
		tests = append(tests, struct {
			name string
			o    Options
			want []string
		}{"slice, and no other way", Options{Mode: Cgroup, Slice: "x.slice"}, []string{"--slice: systemd does not run here"}}, struct {
			name string
			o    Options
			want []string
		}{"scope", Options{Leave: true}, []string{"--scope=new: systemd does not run here"}})
	}
	for _, tt := range tests {
		p, err := Choose(&tt.o)
		if err == nil {
			t.Errorf("%s: %+v", tt.name, p)
			p.Close()
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.name, err, want)
			}
		}
		if strings.Contains(tt.name, "limit,") && strings.Contains(err.Error(), "--contain=auto") {
			t.Errorf("%s: %v: there is no other way for a limit", tt.name, err)
		}
		if left := below(t, dir); len(left) > 0 {
			t.Errorf("%s: left %q", tt.name, left)
		}
	}
}

// TestBestEffort: a limit that cannot be had is a warning, and in the record.
func TestBestEffort(t *testing.T) {
	memory := limit(t, "memory-max", "1G")
	for name, o := range map[string]Options{
		"cgroup":    {Mode: Cgroup, Cgroup: ground(t), JobName: "one"},
		"subreaper": {Mode: Subreaper, Reason: "as the test wants it"},
	} {
		var warned []string
		o.Limits, o.BestEffort, o.Warn = memory, true, func(err error) { warned = append(warned, err.Error()) }
		p := choose(t, o)
		r := run(t, p, "exit 0")
		if len(r.Unenforced) == 0 || r.Unenforced[0].Name != memory[0].Name() || r.Unenforced[0].Reason == "" {
			t.Errorf("%s: unenforced %+v", name, r.Unenforced)
		}
		for _, l := range r.Limits {
			if l.Name == memory[0].Name() {
				t.Errorf("%s: %+v is said to hold", name, l)
			}
		}
		if len(warned) != len(r.Unenforced) || !strings.HasPrefix(warned[0], "not enforced: ") {
			t.Errorf("%s: warned %q", name, warned)
		}
		if o.Mode == Subreaper && (r.ContainmentReason == nil || *r.ContainmentReason != o.Reason) {
			t.Errorf("%s: reason %v", name, r.ContainmentReason)
		}
	}
}

// TestIsLimit finds it in what wraps it.
func TestIsLimit(t *testing.T) {
	if isLimit(errors.New("x")) || isLimit(nil) || !isLimit(errors.Join(errors.New("x"), cgroup.LimitErrors{{}})) {
		t.Error("no")
	}
}
