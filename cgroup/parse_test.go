package cgroup

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
`

// TestPick is the matrix of mounts and own cgroups that systems show us.
func TestPick(t *testing.T) {
	const pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate\n"
	tests := []struct {
		name, info, own string
		path            string // "" where there is no way
	}{
		{"hybrid, the root", hybrid, "/", "/sys/fs/cgroup/unified"},
		{"hybrid", hybrid, "/a/b", "/sys/fs/cgroup/unified/a/b"},
		{"pure", pure, "/user.slice/x.scope", "/sys/fs/cgroup/user.slice/x.scope"},
		{"no cgroup2", strings.Split(hybrid, "41 ")[0], "/", ""},
		{"bind mount of our subtree", "9 1 0:26 /a /mnt rw - cgroup2 x rw\n", "/a/b", "/mnt/b"},
		{"bind mount of our cgroup", "9 1 0:26 /a /mnt rw - cgroup2 x rw\n", "/a", "/mnt"},
		{"bind mount of another", "9 1 0:26 /ab /mnt rw - cgroup2 x rw\n", "/a", ""},
		{"mount of the host in a container", "9 1 0:26 /../.. /sys/fs/cgroup rw - cgroup2 x rw\n", "/", ""},
		{"moved out of the namespace", pure, "/../other", ""},
		{"a space in the mount point", `9 1 0:26 / /my\040cg rw - cgroup2 x rw`, "/a", "/my cg/a"},
		{"a later mount wins", pure + "44 30 0:26 / /mnt rw - cgroup2 x rw\n", "/a", "/mnt/a"},
		{"unless it does not fit", pure + "44 30 0:26 /z /mnt rw - cgroup2 x rw\n", "/a", "/sys/fs/cgroup/a"},
		{"or hides the one that does", pure + "44 30 0:26 /../.. /sys/fs/cgroup rw - cgroup2 x rw\n", "/a", ""},
		{"a mount that is hidden by the same", pure + pure, "/a", "/sys/fs/cgroup/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pick(parseMounts([]byte(tt.info)), tt.own)
			if got.path != tt.path || (err != nil) != (tt.path == "") {
				t.Errorf("got %q, %v; want %q", got.path, err, tt.path)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	events := []byte("populated 1\nfrozen 0\n")
	if v, ok := lookup(events, "populated"); v != 1 || !ok {
		t.Errorf("populated: %d, %v", v, ok)
	}
	for _, key := range []string{"froze", "", "1", "missing"} {
		if v, ok := lookup(events, key); ok {
			t.Errorf("%q: %d", key, v)
		}
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"make": "make", "python3.11": "python3_11", "": "job", "memory.max": "memory_max", "..": "__",
		"a/b": "a_b", "ü": "_", strings.Repeat("x", 300): strings.Repeat("x", 64),
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestParseInotify has two events, the first with a name behind it.
func TestParseInotify(t *testing.T) {
	event := func(wd, mask, size byte, name string) string {
		return string([]byte{wd, 0, 0, 0, mask, 0, 0, 0, 0, 0, 0, 0, size, 0, 0, 0}) + name
	}
	buf := event(7, 2, 4, "abc\x00") + event(8, 2, 0, "") + event(9, 4, 0, "")
	if got := parseInotify([]byte(buf)); !slices.Equal(got, []int{7, 8}) {
		t.Error(got)
	}
}

// FuzzKernelText feeds every parser of the package what a kernel might say.
func FuzzKernelText(f *testing.F) {
	f.Add([]byte(hybrid))
	f.Add([]byte("0::/a/b\n"))
	f.Add([]byte("populated 1\nfrozen 0\n"))
	f.Add([]byte("1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF\n2: -> POSIX ADVISORY READ 1 00:1b:5678 0 EOF\n"))
	f.Add([]byte("\x07\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		own, ok := proc.ParseCgroup(text)
		if !ok {
			own = "/"
		}
		mounts := parseMounts(text)
		if p, err := pick(mounts, own); err == nil && strings.HasPrefix(p.mount.root, "/..") {
			t.Errorf("took a mount of what is above us: %+v", p)
		}
		lookup(text, "populated")
		parseInotify(text)
		for _, l := range proc.ParseLocks(text) {
			if !bytes.Contains(text, []byte(l.Kind)) || !bytes.Contains(text, []byte(l.File)) {
				t.Errorf("made up: %+v", l)
			}
		}
		if name := fileName(string(text)); name == "" || len(name) > 64 || strings.ContainsAny(name, "./\n") {
			t.Errorf("file name %q", name)
		}
	})
}

// TestLocalEvents: of the mount's options, which are behind its source.
func TestLocalEvents(t *testing.T) {
	for options, want := range map[string]bool{"rw,nsdelegate,memory_recursiveprot": false, "rw": false, "rw,memory_localevents": true, "rw,memory_localevents,x": true} {
		m := parseMounts([]byte("41 31 0:38 / /sys/fs/cgroup rw,memory_localevents shared:9 - cgroup2 cgroup2 " + options + "\n"))
		if len(m) != 1 || m[0].localEvents != want {
			t.Errorf("%s: %+v", options, m)
		}
	}
}
