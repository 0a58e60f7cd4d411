package systemd

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParseAddresses(t *testing.T) {
	for list, want := range map[string]string{
		"unix:path=/run/user/1000/bus":                          "/run/user/1000/bus",
		"unix:path=/run/bus,guid=0123":                          "/run/bus",
		"unix:guid=0123,path=/run/bus":                          "/run/bus",
		"unix:abstract=/tmp/dbus-x,guid=1":                      "@/tmp/dbus-x",
		"unix:path=/a%20b":                                      "/a b",
		"tcp:host=localhost,port=1;unix:path=/run/bus":          "/run/bus",
		"unix:path=/a;unix:path=/b":                             "/a /b",
		"unix:path=/a;;":                                        "/a",
		"unix:path=/a,abstract=b":                               "",
		"unix:path=":                                            "",
		"unix:path=relative":                                    "",
		"unix:path=/a%00b":                                      "",
		"unix:path=/a%2":                                        "",
		"unix:tmpdir=/tmp":                                      "",
		"unixexec:path=/bin/sh,argv1=-c,argv2=touch%20/tmp/bad": "",
		"autolaunch:":                                           "",
		"launchd:env=X":                                         "",
		"":                                                      "",
		"/run/bus":                                              "",
	} {
		got, err := parseAddresses(list)
		if strings.Join(got, " ") != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", list, got, err)
		}
	}
}

func FuzzParseAddresses(f *testing.F) {
	f.Add("unix:path=/run/user/1000/bus,guid=01;unix:abstract=x")
	f.Add("unixexec:path=/bin/sh")
	f.Fuzz(func(t *testing.T, list string) {
		got, err := parseAddresses(list)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%q, %v", got, err)
		}
		for _, s := range got {
			if s[0] != '/' && (s[0] != '@' || len(s) == 1) || strings.ContainsRune(s, 0) {
				t.Errorf("%q is no socket", s)
			}
		}
	})
}

func TestParseUnit(t *testing.T) {
	for cgroup, want := range map[string]string{
		"/user.slice/user-1000.slice/session-2.scope":                                     "session-2.scope -1 ",
		"/user.slice/user-1000.slice/user@1000.service":                                   "user@1000.service -1 ",
		"/user.slice/user-1000.slice/user@1000.service/init.scope":                        "init.scope 1000 ",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/run-3.scope":             "run-3.scope 1000 ",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/a-b.slice/x.service/y/z": "x.service 1000 y/z",
		"/user.slice/user-1000.slice/user@1000.service/app.slice":                         "",
		"/user.slice/user-1000.slice/user@1000.service/user@7.service":                    "user@7.service 1000 ",
		"/system.slice/cron.service":                                                      "cron.service -1 ",
		"/system.slice/ci.service/supervisor":                                             "ci.service -1 supervisor",
		"/system.slice/_cgroup.x.service":                                                 "cgroup.x.service -1 ",
		"/system.slice/user@x.service/a.scope":                                            "user@x.service -1 a.scope",
		"/init.scope":                                                                     "init.scope -1 ",
		"/machine.slice/libpod-1.scope/container":                                         "libpod-1.scope -1 container",
		"/system.slice/cups.socket":                                                       "",
		"/docker/0123":                                                                    "",
		"/":                                                                               "",
		"/..":                                                                             "",
		"":                                                                                "",
	} {
		got := ""
		if u, ok := parseUnit(cgroup); ok {
			got = fmt.Sprintf("%s %d %s", u.name, u.user, u.below(cgroup))
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", cgroup, got, want)
		}
	}
}

func FuzzParseUnit(f *testing.F) {
	f.Add("/user.slice/user-1000.slice/user@1000.service/app.slice/run-3.scope/jobs-1")
	f.Add("/system.slice/_x.service")
	f.Fuzz(func(t *testing.T, cgroup string) {
		u, ok := parseUnit(cgroup)
		if !ok {
			return
		}
		if u.name == "" || strings.Contains(u.name, "/") || u.user < systemManager {
			t.Errorf("%+v", u)
		}
		again, ok := parseUnit(u.cgroup)
		if !ok || again != u && u.user == systemManager {
			t.Errorf("%+v, but its own cgroup is %+v", u, again)
		}
	})
}

func TestCgroupOf(t *testing.T) {
	h := testHost(t)
	for text, want := range map[string]string{
		"9:name=systemd:/x\n0::/a.slice/b.scope\n": "/a.slice/b.scope",
		"0::/a (deleted)\n":                        "/a",
		"1:name=systemd:/a\n":                      "",
	} {
		must(t, os.WriteFile(h.Proc+"/4711/cgroup", []byte(text), 0o644))
		if got, err := h.cgroupOf(4711); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestReadPIDs(t *testing.T) {
	file := t.TempDir() + "/cgroup.procs"
	for text, want := range map[string][]int{"": nil, "1\n22\n": {1, 22}, "0\n": {0}, "7": {7}} {
		must(t, os.WriteFile(file, []byte(text), 0o644))
		var got []int
		err := readPIDs(file, func(pid int) error { got = append(got, pid); return nil })
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	must(t, os.WriteFile(file, []byte("x\n"), 0o644))
	if err := readPIDs(file, func(int) error { return nil }); err == nil {
		t.Error("no error")
	}
}

// The order of trying, with all that the environment may say.
func TestDoors(t *testing.T) {
	const usual = "private RUN/systemd/private, "
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, usual + "user-bus RUN/bus"},
		{[]string{"XDG_RUNTIME_DIR=relative"}, usual + "user-bus RUN/bus"},
		{[]string{"DBUS_SESSION_BUS_ADDRESS=unix:path=/s"}, usual + "session-bus /s, user-bus RUN/bus"},
		{[]string{"DBUS_SESSION_BUS_ADDRESS=autolaunch:"}, usual + "session-bus autolaunch:, user-bus RUN/bus"},
		{[]string{"XDG_RUNTIME_DIR=/x", "DBUS_SESSION_BUS_ADDRESS=unix:path=/x/bus"},
			"private /x/systemd/private, session-bus /x/bus, " + usual + "user-bus RUN/bus"},
	} {
		h := testHost(t, c.env...)
		if got := doorNames(h); got != c.want {
			t.Errorf("%v: got %s, want %s", c.env, got, c.want)
		}
	}
	h := testHost(t, "XDG_RUNTIME_DIR=/x", "DBUS_SESSION_BUS_ADDRESS=unix:path=/s")
	h.UID, h.Outer = 0, 0
	if got, want := doorNames(h), "system-private ALL/systemd/private, system-bus ALL/dbus/system_bus_socket"; got != want {
		t.Errorf("root: got %s", got)
	}
	h = testHost(t)
	h.UID, h.Outer = 0, 7
	if got, want := doorNames(h), "system-private ALL/systemd/private, private RUN/systemd/private, user-bus RUN/bus, system-bus ALL/dbus/system_bus_socket"; got != want {
		t.Errorf("root of a user namespace: got %s", got)
	}
}

func TestParseMap(t *testing.T) {
	for text, want := range map[string]int{
		"         0          0 4294967295\n": 1000,
		"0 1000 1\n":                         1000,
		"1000 5 1\n":                         5,
		"0 5000 1\n1 100000 65536\n":         100999,
		"":                                   1000,
		"x\n":                                1000,
	} {
		if got := parseMap([]byte(text), 1000); got != want {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func doorNames(h *Host) string {
	var names []string
	for _, d := range h.endpoints() {
		names = append(names, d.String())
	}
	return strings.NewReplacer(h.own(), "RUN", h.Run, "ALL").Replace(strings.Join(names, ", "))
}
