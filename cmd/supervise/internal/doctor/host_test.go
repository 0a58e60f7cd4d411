package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

// makeTree writes files, of which those whose text begins with -> are links, into
// a directory.
func makeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 2 && text[:2] == "->" {
			err = os.Symlink(text[2:], file)
		} else {
			err = os.WriteFile(file, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestContainerKind(t *testing.T) {
	const pidNS = "proc/self/ns/pid"
	tests := []struct {
		name  string
		files map[string]string
		env   map[string]string
		want  string
	}{
		{"host", map[string]string{pidNS: "->pid:[4026531836]"}, nil, ""},
		{"a namespace is not enough", map[string]string{pidNS: "->pid:[1]"}, nil, ""},
		{"podman", map[string]string{pidNS: "->pid:[1]", "run/.containerenv": ""}, nil, podman},
		{"docker", map[string]string{pidNS: "->pid:[1]", ".dockerenv": ""}, nil, docker},
		{"virtual machine made of an image", map[string]string{pidNS: "->pid:[4026531836]", ".dockerenv": ""}, nil, ""},
		{"docker --pid=host", map[string]string{"proc/self/ns/cgroup": "->cgroup:[1]", ".dockerenv": ""}, nil, docker},
		{"pod", map[string]string{pidNS: "->pid:[1]", ".dockerenv": ""}, map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, kubernetes},
		{"nspawn", map[string]string{pidNS: "->pid:[1]", "run/systemd/container": "systemd-nspawn\n"}, nil, nspawn},
		{"nspawn of an image", map[string]string{pidNS: "->pid:[1]", ".dockerenv": "", "run/systemd/container": "systemd-nspawn\n"}, nil, nspawn},
		{"lxc", map[string]string{pidNS: "->pid:[1]", "proc/1/environ": "A=b\x00container=lxc\x00"}, nil, lxc},
		{"another", map[string]string{pidNS: "->pid:[1]"}, map[string]string{"container": "flatpak"}, "flatpak"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := containerKind(makeTree(t, tt.files), func(name string) string { return tt.env[name] })
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestFindPlace(t *testing.T) {
	noEnv := func(string) string { return "" }
	root := makeTree(t, map[string]string{
		"run/systemd/system/x": "", "run/user/1000/systemd/private": "", "proc/self/ns/user": "->user:[4026531837]",
	})
	if p := findHost(root, 1000, noEnv); !p.Systemd || p.UserManager == nil || !*p.UserManager || p.UserNamespace || p.Container != nil {
		t.Errorf("user with a manager: %+v", p)
	}
	if p := findHost(root, 1001, noEnv); p.UserManager == nil || *p.UserManager {
		t.Errorf("user without a manager: %+v", p)
	}
	if p := findHost(root, 0, noEnv); !p.Systemd || p.UserManager != nil {
		t.Errorf("root: %+v", p)
	}
	root = makeTree(t, map[string]string{"proc/self/ns/user": "->user:[4026532000]"})
	if p := findHost(root, 1000, noEnv); p.Systemd || p.UserManager != nil || !p.UserNamespace {
		t.Errorf("without systemd: %+v", p)
	}
}

func FuzzEnviron(f *testing.F) {
	f.Add("A=b\x00container=lxc\x00")
	f.Add("container=")
	f.Fuzz(func(t *testing.T, text string) {
		value := environ(text, "container")
		if value != "" && environ("\x00container="+value, "container") != value {
			t.Errorf("%q does not come back", value)
		}
	})
}
