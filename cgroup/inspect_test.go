package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func names(v *View) (list []string) {
	for _, a := range v.Ancestors {
		list = append(list, a.Name+" "+a.Path)
	}
	return list
}

// TestInspectText inspects given texts of the two files of proc(5).
func TestInspectText(t *testing.T) {
	const (
		pure      = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		part      = "30 23 0:26 /a/b /mnt/cg rw - cgroup2 cgroup2 rw\n"
		foreign   = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		atTheRoot = "30 23 0:26 / / rw - cgroup2 cgroup2 rw\n"
	)
	tests := []struct {
		name, self, info string
		mount            *Mount
		chain            []string
		v1               []string
	}{
		{"pure", "0::/a/b\n", pure, &Mount{"/sys/fs/cgroup", "/", true, false},
			[]string{"/ /sys/fs/cgroup", "/a /sys/fs/cgroup/a", "/a/b /sys/fs/cgroup/a/b"}, nil},
		{"at the top", "0::/\n", pure, &Mount{"/sys/fs/cgroup", "/", true, false}, []string{"/ /sys/fs/cgroup"}, nil},
		{"part", "0::/a/b/c\n", part, &Mount{"/mnt/cg", "/a/b", true, false}, []string{"/a/b /mnt/cg", "/a/b/c /mnt/cg/c"}, nil},
		{"mounted on the root", "0::/a\n", atTheRoot, &Mount{"/", "/", true, false}, []string{"/ /", "/a /a"}, nil},
		{"foreign", "0::/\n", foreign, &Mount{"/sys/fs/cgroup", "/../..", false, false}, nil, nil},
		{"hybrid", "9:name=systemd:/\n5:memory:/x\n4:cpu,cpuacct:/\n0::/a\n", hybrid,
			&Mount{"/sys/fs/cgroup/unified", "/", true, false},
			[]string{"/ /sys/fs/cgroup/unified", "/a /sys/fs/cgroup/unified/a"}, []string{"cpu", "cpuacct", "memory"}},
		{"version 1", "5:memory:/x\n", "", nil, nil, []string{"memory"}},
		{"nothing", "", "", nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := inspect([]byte(tt.self), []byte(tt.info))
			if (v.Mount == nil) != (tt.mount == nil) || v.Mount != nil && *v.Mount != *tt.mount {
				t.Errorf("mount %+v, want %+v", v.Mount, tt.mount)
			}
			if got := names(v); !slices.Equal(got, tt.chain) {
				t.Errorf("chain %q, want %q", got, tt.chain)
			}
			if !slices.Equal(v.V1, tt.v1) {
				t.Errorf("version 1 has %q, want %q", v.V1, tt.v1)
			}
			if (v.Err == nil) != (tt.chain != nil) {
				t.Errorf("error %v", v.Err)
			}
		})
	}
}

func TestLead(t *testing.T) {
	v := &View{Mount: &Mount{Point: "/mnt/cg", Root: "/a", Shown: true}}
	v.Lead("/mnt/cg/b/c")
	if got, want := names(v), []string{"/a /mnt/cg", "/a/b /mnt/cg/b", "/a/b/c /mnt/cg/b/c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	v.Lead("/mnt/cgroups")
	if len(v.Ancestors) != 3 {
		t.Errorf("it leads out of the mount: %q", names(v))
	}
	v.Mount.Root = "/"
	v.Lead("/mnt/cg")
	if got := names(v); !slices.Equal(got, []string{"/ /mnt/cg"}) {
		t.Errorf("%q", got)
	}
}

func TestStops(t *testing.T) {
	v := &View{V1: []string{"blkio", "pids"}, Ancestors: []Ancestor{
		{Name: "/", Controllers: []string{"cpu", "hugetlb", "memory"}},
		{Name: "/a", Controllers: []string{"cpu", "memory"}, Busy: true},
		{Name: "/a/b", Controllers: []string{"memory"}, Busy: true},
	}}
	for name, want := range map[string]struct {
		at  string
		why Barrier
	}{
		"pids": {"", HeldByV1}, "io": {"", HeldByV1}, "rdma": {"", Absent},
		"hugetlb": {"/", Kept}, "cpu": {"/a", Busy}, "memory": {"/a/b", NoBarrier},
	} {
		at, why := v.Stops(name)
		if why != want.why || (at == nil) != (want.at == "") || at != nil && at.Name != want.at {
			t.Errorf("%s: %v, %v, want %v", name, at, why, want)
		}
	}
	if at, why := (&View{}).Stops("cpu"); at != nil || why != Absent {
		t.Errorf("without a chain: %v, %v", at, why)
	}
}

// TestInspect inspects the cgroup that the test runs in.
func TestInspect(t *testing.T) {
	before := openFDs(t)
	v := Inspect()
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	here, err := locate()
	if err != nil {
		if v.Err == nil || len(v.Ancestors) > 0 {
			t.Errorf("%v, but %+v", err, v)
		}
		return
	}
	last := v.Ancestors[len(v.Ancestors)-1]
	if v.Own != here.own || last.Path != here.path || v.Mount.Point != here.mount.point || v.Others < 0 {
		t.Errorf("we are at %+v, not %+v", here, v)
	}
	if _, err := os.Stat(filepath.Join(here.path, "cgroup.events")); v.Top != os.IsNotExist(err) {
		t.Errorf("top %v, but cgroup.events: %v", v.Top, err)
	}
	for _, a := range v.Ancestors {
		if a.Err != nil || a.UID < 0 {
			t.Errorf("%+v", a)
		}
		st, err := os.Stat(a.Path)
		if err != nil || int(st.Sys().(*syscall.Stat_t).Uid) != a.UID {
			t.Errorf("owner %d of %s: %v", a.UID, a.Path, err)
		}
	}
}

// TestFeatures tries them in a job, of which nothing is left, and that runs nothing
// afterwards.
func TestFeatures(t *testing.T) {
	s := newSession(t, testRoot(t))
	j, err := s.NewJob("features")
	if err != nil {
		t.Fatal(err)
	}
	v := Inspect()
	with, without := v.Features(j), v.Features(nil)
	if len(with) != len(without) || len(with) != 8 {
		t.Fatalf("%d and %d features", len(with), len(without))
	}
	for _, f := range with {
		t.Logf("%+v", f)
		_, err := os.Stat(filepath.Join(j.Path(), f.Name))
		isFile := strings.Contains(f.Name, ".")
		if isFile && err == nil && f.Answer != Yes || f.Answer != Yes && f.Detail == "" {
			t.Errorf("%+v, file: %v", f, err)
		}
	}
	if pids, err := j.Procs(); err != nil || len(pids) > 0 {
		t.Errorf("processes left: %v, %v", pids, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoFeatures: without any cgroup in sight nothing is known.
func TestNoFeatures(t *testing.T) {
	for _, f := range (&View{}).Features(nil) {
		if f.Answer != Unknown || f.Detail == "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestBirthAnswer(t *testing.T) {
	for err, want := range map[error]Answer{
		nil: No, syscall.ENOENT: Yes, syscall.EACCES: Yes, syscall.EBUSY: Yes, syscall.ENOSYS: No, syscall.EPERM: No,
		syscall.EINVAL: No, syscall.EAGAIN: Unknown, fs.ErrClosed: Unknown,
	} {
		got, detail := birth(err)
		if got != want || (detail == "") != (err == syscall.ENOENT) {
			t.Errorf("%v: %v %q, want %v", err, got, detail, want)
		}
	}
}

// FuzzInspect: for any text of the files, the chain leads from the mount point down to
// a directory below it, one step at a time.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("5:memory:/x\n0::/a/b\n"), []byte(hybrid))
	f.Add([]byte("0::/a/b\n"), []byte("9 1 0:26 /a /mnt rw - cgroup2 x rw\n"))
	f.Add([]byte("0::/../x\n"), []byte("9 1 0:26 /../.. / rw - cgroup2 x rw\n"))
	f.Add([]byte("0::"), []byte(`9 1 0:26 / x\040y rw - cgroup2 x rw`))
	f.Fuzz(func(t *testing.T, self, info []byte) {
		v := inspect(self, info)
		if len(v.Ancestors) == 0 {
			if v.Err == nil {
				t.Error("no chain and no reason")
			}
			return
		}
		if first := v.Ancestors[0]; filepath.Clean(first.Path) != filepath.Clean(v.Mount.Point) {
			t.Errorf("the chain begins at %s, the mount at %s", first.Path, v.Mount.Point)
		}
		for i, a := range v.Ancestors[1:] {
			if filepath.Dir(a.Path) != v.Ancestors[i].Path {
				t.Error(fmt.Sprint(names(v)))
			}
		}
	})
}
