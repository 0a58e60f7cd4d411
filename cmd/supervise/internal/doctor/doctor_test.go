package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cgroup"
	"github.com/seed-c1490a04/supervise/cmd/internal/cli"
	"github.com/seed-c1490a04/supervise/cmd/internal/golden"
	"github.com/seed-c1490a04/supervise/protocol"
)

// level is a cgroup of a made-up chain.
func level(name string, uid int, writable bool, controllers, subtree string) protocol.CgroupOnPath {
	return protocol.CgroupOnPath{
		Name: name, Path: strings.TrimSuffix("/sys/fs/cgroup"+name, "/"), UID: &uid, Writable: writable,
		Controllers: list(strings.Fields(controllers)), SubtreeControl: list(strings.Fields(subtree)),
	}
}

const all = "cpu cpuset io memory pids"

// made makes a diagnosis of a chain: on a host, as user 1000, all kernel features
// there.
func made(chain ...protocol.CgroupOnPath) *diagnosis {
	view := &cgroup.View{Others: -1}
	for _, c := range chain {
		view.Ancestors = append(view.Ancestors, cgroup.Ancestor{Name: c.Name, Controllers: c.Controllers, Subtree: c.SubtreeControl})
	}
	d := &diagnosis{}
	d.setView(view)
	d.Schema, d.Version = protocol.DiagnosisSchema, "v1.2.3"
	d.Containment, d.Place.UID = protocol.ContainmentCgroup, 1000
	d.Bus.Roads = []protocol.BusRoad{}
	for _, name := range []string{"cgroup.kill", "CLONE_INTO_CGROUP", "freezer", "memory.peak", "pids.peak", "cpu.pressure"} {
		d.Features = append(d.Features, protocol.Feature{Name: name, Works: new(true)})
	}
	if len(chain) > 0 {
		d.Chain = slices.Clone(chain) // of which a change may change a part
		d.Mount = &protocol.CgroupMount{Point: "/sys/fs/cgroup", Root: "/", Shown: true}
		last := chain[len(chain)-1]
		d.Cgroup, d.Others = &last.Name, new(0)
	}
	return d
}

// with changes a diagnosis and completes it.
func (d *diagnosis) with(changes ...func(d *diagnosis)) *diagnosis {
	for _, change := range changes {
		change(d)
	}
	d.Fixes = fixes(&d.Diagnosis)
	return d
}

// Changes.
func refused(d *diagnosis) {
	d.Containment, d.Reason = protocol.ContainmentSubreaper, new("open /sys/fs/cgroup/cgroup.procs: permission denied")
}

func readOnly(d *diagnosis) {
	d.Mount.ReadOnly = true
	refused(d)
}

func in(container string) func(d *diagnosis) {
	return func(d *diagnosis) { d.Place.Container = &container }
}

func as(uid int) func(d *diagnosis) { return func(d *diagnosis) { d.Place.UID = uid } }

func onRoad(road string) func(d *diagnosis) {
	return func(d *diagnosis) { d.Road, d.Root = &road, new(d.own().Path) }
}

func (d *diagnosis) own() *protocol.CgroupOnPath { return facts{&d.Diagnosis}.own() }

// systemd runs, and manager says whether it does for the user; supervise-scope is
// there and reaches it.
func systemd(manager bool) func(d *diagnosis) {
	return func(d *diagnosis) {
		d.Place.Systemd, d.Place.UserManager = true, &manager
		d.Bus.Program = new("/usr/bin/supervise-scope")
		d.Bus.Roads = []protocol.BusRoad{{Road: "private", Address: "/run/user/1000/systemd/private", OK: manager}}
		if !manager {
			d.Bus.Roads[0].Error = new("no such file or directory")
		}
	}
}

func without(feature string) func(d *diagnosis) {
	return func(d *diagnosis) {
		i := slices.IndexFunc(d.Features, func(f protocol.Feature) bool { return f.Name == feature })
		d.Features[i].Works, d.Features[i].Detail = new(false), new("no such file in /sys/fs/cgroup/a")
	}
}

// Chains.
var (
	lone     = []protocol.CgroupOnPath{level("/", 0, false, all, all)}
	rootless = []protocol.CgroupOnPath{level("/", 1000, true, all, "")}
	desktop  = []protocol.CgroupOnPath{
		level("/", 0, false, all, "cpu memory pids"),
		level("/user.slice", 0, false, "cpu memory pids", "cpu memory pids"),
		level("/user.slice/user-1000.slice", 0, false, "cpu memory pids", "memory pids"),
		level("/user.slice/user-1000.slice/user@1000.service", 1000, true, "memory pids", "memory pids"),
		level("/user.slice/user-1000.slice/user@1000.service/app.slice", 1000, true, "memory pids", "memory pids"),
		level("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", 1000, true, "memory pids", ""),
	}
	undelegated = append(slices.Clone(desktop[:5:5]),
		level("/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", 1000, true, "", ""))
	session      = append(slices.Clone(desktop[:3:3]), level("/user.slice/user-1000.slice/session-3.scope", 0, false, "memory pids", ""))
	usersService = append(slices.Clone(desktop[:5:5]),
		level("/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", 1000, true, "memory pids", ""))
	closedService = []protocol.CgroupOnPath{
		level("/", 0, false, all, all), level("/system.slice", 0, false, all, "memory pids"),
		level("/system.slice/cron.service", 0, false, "memory pids", ""),
	}
	service = []protocol.CgroupOnPath{
		level("/", 0, true, all, all), level("/system.slice", 0, true, all, "memory pids"),
		level("/system.slice/ci.service", 0, true, "memory pids", ""),
	}
)

// A situation is a machine, and the fixes that apply to it, in the table's order.
type situation struct {
	name  string
	chain []protocol.CgroupOnPath
	make  []func(d *diagnosis)
	want  string
}

// situations has one for every row of the table.
func situations() []situation {
	type changes = []func(d *diagnosis)
	return []situation{
		{"nothing wrong", rootless, nil, ""},
		{"top of a hierarchy that others use", rootless, changes{onRoad("shared"), func(d *diagnosis) { d.Top = true }}, ""},
		{"no cgroup2", nil, changes{refused}, "mount-cgroup2"},
		{"no cgroup2 in a container", nil, changes{refused, in(docker)}, "mount-cgroup2"},
		{"version 1 alone", nil, changes{refused, func(d *diagnosis) { d.V1 = []string{"memory"} }}, "mount-cgroup2 unified-hierarchy"},
		{"mount from outside", nil, changes{refused, in(podman), foreign}, "mount-own-cgroup"},
		{"mount from outside, pod", nil, changes{refused, in(kubernetes), foreign}, "mount-own-cgroup"},
		{"mount from outside, no container", nil, changes{refused, foreign}, "mount-own-cgroup"},
		{"podman", lone, changes{readOnly, in(podman)}, "container-read-only"},
		{"podman, root may not write", lone, changes{refused, in(podman), as(0)}, "container-read-only"},
		{"docker", lone, changes{readOnly, in(docker)}, "container-read-only"},
		{"kubernetes", lone, changes{readOnly, in(kubernetes)}, "container-read-only"},
		{"nspawn", lone, changes{readOnly, in(nspawn)}, "container-read-only"},
		{"lxc", lone, changes{readOnly, in(lxc)}, "container-read-only"},
		{"another container", lone, changes{readOnly, in("rkt")}, "container-read-only"},
		{"podman --user", lone, changes{refused, in(podman)}, "container-user"},
		{"runAsUser", lone, changes{refused, in(kubernetes)}, "container-user"},
		{"protected service of a container with systemd", service, changes{readOnly, in(nspawn), systemd(true), as(0)}, "read-only"},
		{"user of a container with systemd", session, changes{refused, in(nspawn), systemd(false)}, "enable-linger delegate-to-users"},
		{"unshare -r", lone, changes{refused, as(0), func(d *diagnosis) { d.Place.UserNamespace = true }}, "user-namespace"},
		{"read-only", lone, changes{readOnly}, "read-only"},
		{"ProtectControlGroups", service, changes{readOnly, systemd(true)}, "read-only"},
		{"desktop", desktop, changes{onRoad("delegated"), systemd(true)}, "delegate-to-users"},
		{"desktop, shared", desktop, changes{onRoad("shared"), systemd(true)}, "leave-by-name delegate-to-users"},
		{"undelegated scope", undelegated, changes{onRoad("delegated"), systemd(true)}, "delegated-scope delegate-to-users"},
		{"ssh", session, changes{refused, systemd(true)}, "delegated-scope delegate-to-users"},
		{"cron", session, changes{refused, systemd(false)}, "enable-linger delegate-to-users"},
		{"root in a service", service, changes{onRoad("shared"), systemd(true), as(0)}, "delegate-to-service"},
		{"root in a delegated service with others", service, changes{onRoad("shared"), systemd(true), as(0), func(d *diagnosis) { d.Chain[2].Delegated = true }}, "delegate-subgroup"},
		{"a user in a system service", closedService, changes{refused, systemd(true)}, "delegate-to-service"},
		{"a user's service", usersService, changes{onRoad("shared"), systemd(true)}, "delegate-to-users delegate-to-service"},
		{"no systemd", lone, changes{refused}, "own-cgroup"},
		{"no systemd, shared", rootless, changes{onRoad("shared")}, "own-cgroup"},
		{"hybrid", hybridChain, changes{hybrid}, "unified-hierarchy"},
		{"hybrid with systemd", hybridChain, changes{hybrid, systemd(true)}, "unified-hierarchy"},
		{"podman with little", []protocol.CgroupOnPath{level("/", 0, true, "memory pids", "")}, changes{in(podman), as(0)}, "delegate-to-users"},
		{"service", service, changes{onRoad("delegated"), systemd(true)}, "delegate-to-service"},
		{"no supervise-scope", rootless, changes{systemd(true), func(d *diagnosis) { d.Bus.Program = nil }}, "install-scope"},
		{"ssh, no supervise-scope", session, changes{refused, systemd(true), func(d *diagnosis) { d.Bus.Program = nil }},
			"install-scope delegated-scope delegate-to-users"},
		{"ssh, the manager seen", session, changes{refused, systemd(true), func(d *diagnosis) { d.Bus.UserControllers = []string{"cpu", "memory", "pids"} }},
			"delegated-scope delegate-to-users"},
		{"ssh, nothing kept", session, changes{refused, systemd(true), func(d *diagnosis) { d.Bus.UserControllers = limitControllers }}, "delegated-scope"},
		{"service of a user who has less", rootless, changes{onRoad("delegated"), systemd(true), func(d *diagnosis) { d.Bus.UserControllers = []string{"pids"} }}, ""},
		{"wedged manager", rootless, changes{systemd(true), func(d *diagnosis) { d.Bus.Roads[0].OK = false }}, "reach-systemd"},
		{"wedged manager, root", rootless, changes{systemd(true), as(0), func(d *diagnosis) { d.Bus.Roads = nil }}, "reach-systemd"},
		{"Linux 5.4", rootless, changes{without("cgroup.kill"), without("CLONE_INTO_CGROUP"), without("memory.peak"), without("pids.peak")},
			"cgroup-kill clone-into-cgroup memory-peak pids-peak"},
		{"psi=0", rootless, changes{without("cpu.pressure")}, "pressure"},
	}
}

func TestFixes(t *testing.T) {
	var report bytes.Buffer
	seen := map[string]bool{}
	for _, tt := range situations() {
		d := made(tt.chain...).with(tt.make...)
		var names []string
		for _, f := range d.Fixes {
			names = append(names, f.Name)
			seen[f.Name] = true
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		fmt.Fprintf(&report, "-- %s --%s", tt.name, d.fixesText()+"\n")
	}
	for _, a := range advices() {
		if !seen[a.name] {
			t.Errorf("no case shows %s", a.name)
		}
	}
	golden.Compare(t, "doctor-fixes.txt", report.String())
}

var hybridChain = []protocol.CgroupOnPath{level("/", 0, false, "hugetlb", ""), level("/a", 1000, true, "", "")}

func hybrid(d *diagnosis) { d.V1 = []string{"blkio", "cpu", "cpuset", "memory", "pids"} }

func foreign(d *diagnosis) {
	d.Mount = &protocol.CgroupMount{Point: "/sys/fs/cgroup", Root: "/../.."}
}

// screens are whole diagnoses.
func screens() map[string]*diagnosis {
	deep := []protocol.CgroupOnPath{level("/", 0, false, all, all)}
	for i := range 14 {
		deep = append(deep, level(fmt.Sprintf("%s/level-%d-of-a-name-that-is-too-long-for-it", strings.TrimSuffix(deep[i].Name, "/"), i), 1001, true, all, all))
	}
	return map[string]*diagnosis{
		"desktop":  made(desktop...).with(onRoad("shared"), systemd(true), func(d *diagnosis) { d.Others = new(3) }),
		"cron":     made(session...).with(refused, systemd(false), func(d *diagnosis) { d.Others = new(1) }),
		"podman":   made(lone...).with(readOnly, in(podman), as(0), without("memory.peak")),
		"none":     made().with(refused, in("a\x1b[31m\nb"), func(d *diagnosis) { d.Place.UserNamespace = true }),
		"foreign":  made().with(refused, foreign, hybrid, func(d *diagnosis) { d.Place.Systemd = true; d.Bus.Error = new("it takes too long") }),
		"deep":     made(deep...).with(onRoad("nested"), as(0)),
		"nothing":  {},
		"complete": made(rootless...).with(onRoad("delegated")),
	}
}

func TestDoctorText(t *testing.T) {
	for name, d := range screens() {
		t.Run(name, func(t *testing.T) {
			text := d.text()
			golden.Compare(t, "doctor-"+name+".txt", text)
			for line := range strings.Lines(text) {
				path := slices.ContainsFunc(strings.Fields(line), func(word string) bool { return len(word) > screen-labelSize-1 })
				if len(line) > screen+1 && !path {
					t.Errorf("wider than the screen: %q", line)
				}
			}
			if n := strings.Count(text, "\n"); n > 45 {
				t.Errorf("%d lines are more than a screen", n)
			}
		})
	}
}

// TestDoctorPrintable: whatever the names on this machine are, they do nothing to a terminal, forge no line, and fit.
func TestDoctorPrintable(t *testing.T) {
	screen := func(name string) string {
		d := made(protocol.CgroupOnPath{Name: "/"}, protocol.CgroupOnPath{Name: "/" + name})
		d.Place.Container, d.Cgroup = &name, new("/"+name)
		d.Reason, d.Root, d.Road = &name, new("/sys/fs/cgroup/"+name), new("nested")
		d.Bus.Error = &name
		d.Fixes = []protocol.Fix{{Problem: name, Advice: "As root:", Lines: []string{"mount " + name}}}
		return d.text()
	}
	text := screen("\x1b[2J\u009b\u202e\xff\u2028\u00a0\u0085")
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line != cli.Printable(line) {
			t.Errorf("not printable: %q", line)
		}
	}
	if n := strings.Count(text, `\x1b[2J\u009b\u202e\xff\u`); n != 7 {
		t.Errorf("the name is there %d times: %s", n, text)
	}
	if text := screen("ä\n\u009b" + strings.Repeat("ü", 40)); !strings.Contains(text, `\n  ä\n\u009büüü`) && !strings.Contains(text, "ü.. ") {
		t.Errorf("the name is not cut: %s", text)
	}
}

// TestDoctorJSON: the JSON can be read back, and no list is null.
func TestDoctorJSON(t *testing.T) {
	for name, d := range screens() {
		if name == "nothing" {
			continue
		}
		b, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"v1", "chain", "controllers", "features", "fixes"} {
			if !strings.HasPrefix(string(fields[field]), "[") {
				t.Errorf("%s: %s is %s", name, field, fields[field])
			}
		}
		if name == "desktop" {
			golden.Compare(t, "doctor-desktop.json", string(b)+"\n")
		}
	}
}

// TestDoctorUsage tests the command line. The diagnosis itself is left to the integration
// tests, as it catches signals for the rest of the process's life.
func TestDoctorUsage(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"--jsn"}, {"x"}, {"--json", "--fix-plan"}} {
		want := cli.ExitUsage
		if args[0] == "--help" {
			want = 0
		}
		quiet := &cli.Program{Quiet: true, Help: func(string) int { return 0 }}
		if status := Main(quiet, args); status != want {
			t.Errorf("doctor %q: status %d, want %d", args, status, want)
		}
	}
}
