package cgroup

import (
	"strings"
	"testing"
)

func TestTransientFile(t *testing.T) {
	const user = "/user.slice/user-1000.slice/user@1000.service"
	tests := map[string]string{
		"/system.slice/run-u4.service":          "/run/systemd/transient/run-u4.service",
		user + "/app.slice/run-r1.scope":        "/run/user/1000/systemd/transient/run-r1.scope",
		user + "/init.scope":                    "/run/user/1000/systemd/transient/init.scope",
		user:                                    "", // a manager is none
		"/user.slice/user@x.service/a.scope":    "",
		"/user.slice/user@1/../x.service/a":     "",
		"/":                                     "",
		"/system.slice":                         "",
		"/system.slice/run-u4.service/sub":      "",
		"/docker/0123.scope/x.service":          "/run/systemd/transient/x.service",
		"/user@.service/a.scope":                "",
		"/a/user@1000.serviceX/../../a.scope":   "",
		"/a/user@1000.service/app.slice/.scope": "/run/user/1000/systemd/transient/.scope",
	}
	for own, want := range tests {
		if got := transientFile(own); got != want {
			t.Errorf("%s: %q, want %q", own, got, want)
		}
	}
}

func TestParseDelegate(t *testing.T) {
	tests := map[string]bool{
		"":                                  false,
		"[Scope]\nDelegate=yes\n":           true,
		"[Scope]\nDelegate=yes":             true,
		"Delegate=no\n":                     false,
		"Delegate=yes\nDelegate=off\n":      false,
		"Delegate=false\nDelegate=cpu pids": true,
		"Delegate=\n":                       true, // all controllers, says systemd.resource-control(5)
		"# Delegate=yes\n":                  false,
		"Description=Delegate=yes\n":        false,
		"  Delegate=1  \n":                  true,
	}
	for text, want := range tests {
		if got := parseDelegate([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// FuzzDelegation: no panic, and no path outside of where managers keep their files.
func FuzzDelegation(f *testing.F) {
	f.Add("/user.slice/user@1000.service/app.slice/run-r1.scope", []byte("[Scope]\nDelegate=yes\n"))
	f.Add("/system.slice/../../etc/x.service", []byte("Delegate=no"))
	f.Fuzz(func(t *testing.T, own string, unit []byte) {
		parseDelegate(unit)
		file := transientFile(own)
		if file == "" {
			return
		}
		dir, name, ok := strings.Cut(file, "/systemd/transient/")
		if !ok || strings.Contains(name, "/") || dir != "/run" && strings.Trim(strings.TrimPrefix(dir, "/run/user/"), "0123456789") != "" {
			t.Errorf("%q: %q", own, file)
		}
	})
}
