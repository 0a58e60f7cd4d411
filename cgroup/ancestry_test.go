package cgroup

import (
	"slices"
	"strings"
	"testing"
)

// TestExplain: the message names the cgroup where a controller stops on the way to a job, the
// reason and the fix.
func TestExplain(t *testing.T) {
	const slice, manager = "/c/user.slice/user-1.slice", "/c/user.slice/user-1.slice/user@1.service"
	view := func(words ...string) *View { // the nearest first, as the texts name them
		v := &View{Ancestors: []Ancestor{{Path: "the job"}}}
		for _, w := range words {
			path, controllers, _ := strings.Cut(w, " ")
			one := Ancestor{Path: path, Controllers: strings.Fields(strings.TrimSuffix(controllers, "!")), Busy: strings.HasSuffix(controllers, "!")}
			v.Ancestors = slices.Insert(v.Ancestors, 0, one)
		}
		return v
	}
	v1 := view("/c/x", "/c pids")
	v1.V1 = []string{"blkio"}
	scope := manager + "/app.slice/x.scope"
	for _, tt := range []struct {
		name             string
		v                ancestry
		controller       string
		ancestor, reason string
		fix              string
	}{
		{"users are not given it", ancestry{root: scope, managed: true, user: true,
			View: view(scope+"/jobs-1", scope, manager+" memory", slice+" cpuset memory", "/c cpuset memory")},
			"cpuset", slice, "does not hand it down", "systemctl edit user@.service: [Service] Delegate=cpu cpuset io memory pids"},
		{"an unusual one", ancestry{root: scope, managed: true, user: true, View: view(scope, manager, slice+" rdma")},
			"rdma", slice, "does not hand it down", "systemd does not hand this one on"},
		{"the unit is not delegated", ancestry{root: scope, managed: true, user: true,
			View: view(scope+"/jobs-1", scope, manager+"/app.slice memory", manager+" memory")},
			"memory", manager + "/app.slice", "does not hand it down", "systemd-run --user --scope -p Delegate=yes"},
		{"shared", ancestry{root: scope, managed: true, user: true, View: view(scope+"/jobs-1", scope+" memory!")},
			"memory", scope, "holds processes of its own", "delegated scope or service"},
		{"a service", ancestry{root: "/c/system.slice/x.service", managed: true,
			View: view("/c/system.slice/x.service", "/c/system.slice memory")},
			"memory", "/c/system.slice", "does not hand it down", "systemctl edit x.service: [Service] Delegate=yes"},
		{"no systemd", ancestry{root: "/c/x", View: view("/c/x memory!", "/c memory")},
			"memory", "/c/x", "holds processes of its own", "a cgroup of its own"},
		{"a container that holds it", ancestry{root: "/c", container: true, View: view("/c/jobs-1", "/c memory!")},
			"memory", "/c", "holds processes of its own", "as its first process"},
		{"a container that was not given it", ancestry{root: "/c", container: true, View: view("/c/jobs-1", "/c pids")},
			"io", "/c", "was not given it", "--cgroup-manager=systemd"},
		{"version 1", ancestry{root: "/c/x", View: v1},
			"io", "/c", "cgroup v1 holds it", "cgroup_no_v1=blkio"},
		{"switched off", ancestry{root: "/c/x", View: view("/c/x", "/c pids")},
			"memory", "/c", "built, or booted, without", "cgroup_disable=memory"},
		{"unheard of", ancestry{root: "/c/x", View: view("/c/x", "/c pids")}, "nosuch", "/c", "no such controller", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ancestor, reason, fix := tt.v.explain(tt.controller)
			if ancestor != tt.ancestor || !strings.Contains(reason, tt.reason) || !strings.Contains(fix, tt.fix) {
				t.Errorf("%q, %q, %q", ancestor, reason, fix)
			}
		})
	}
}

func TestUserManager(t *testing.T) {
	for path, want := range map[string]string{
		"/c/user.slice/user-1.slice/user@1.service/app.slice/x.scope": "/c/user.slice/user-1.slice/user@1.service",
		"/c/user.slice/user-1.slice/user@1.service":                   "",
		"/c/user@x.service/a":                                         "", "/c/a": "", "": "",
	} {
		if got, ok := userManager(path); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", path, got, ok)
		}
	}
}
