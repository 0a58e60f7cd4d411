package oci

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup"
)

// The tests with jobs do what there are controllers for: in integration/vm, as
// SUPERVISE_BED=vm promises, everything.

func TestMain(m *testing.M) {
	cgroup.Init()
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // for the children of what we kill
	os.Exit(m.Run())
}

var inBed = os.Getenv("SUPERVISE_BED") == "vm"

// newJob makes a job with the controllers that there are.
func newJob(t *testing.T) *cgroup.Job {
	t.Helper()
	s, err := cgroup.Open()
	if err != nil && !inBed && os.Getenv("SUPERVISE_CI") == "" {
		t.Skipf("no cgroup for jobs: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.NewJob("test")
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(j.Kill(), empty(j), j.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Claim(j); err != nil {
		t.Fatal(err)
	}
	return j
}

// empty reaps the job, which was killed: as we are a subreaper, all of it is ours.
func empty(j *cgroup.Job) error {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			break
		}
	}
	if is, err := j.Empty(); !is || err != nil {
		return errors.Join(errors.New("the job does not end"), err)
	}
	return nil
}

// start runs a script in the job until it says that it is ready.
func start(t *testing.T, j *cgroup.Job, script string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, w.Fd(), 2}}
	_, err = j.Start("/bin/sh", []string{"sh", "-c", script}, attr)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the job said %q", line)
	}
}

func read(t *testing.T, j *cgroup.Job, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(j.Path(), file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EOPNOTSUPP) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// has says whether the job was given a controller.
func has(t *testing.T, j *cgroup.Job, controller string) bool {
	t.Helper()
	all := strings.Fields(read(t, j, "cgroup.controllers"))
	ok := slices.Contains(all, controller)
	if inBed && !ok {
		t.Fatalf("no controller %s, but %v", controller, all)
	}
	return ok
}

// disk finds the number of a disk.
func disk(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/sys/block/vd*/dev", "/sys/block/[sn]*/dev"} {
		if names, _ := filepath.Glob(pattern); len(names) > 0 {
			number, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(number))
		}
	}
	t.Skip("no disk")
	return ""
}

// The kernel takes what Limits makes, in its order, and has it afterwards.
func TestKernelTakes(t *testing.T) {
	j := newJob(t)
	for _, c := range []struct{ controller, document, file, want string }{
		{"memory", `{"memory":{"limit":67108864,"reservation":16777216,"swap":100663296}}`, "memory.max memory.low memory.swap.max", "67108864 16777216 33554432"},
		{"memory", `{"memory":{"limit":-1,"swap":-1}}`, "memory.max memory.swap.max", "max max"},
		{"pids", `{"pids":{"limit":4194304}}`, "pids.max", "4194304"},
		{"pids", `{"pids":{"limit":0}}`, "pids.max", "max"},
		{"cpu", `{"cpu":{"quota":17592186044415,"period":1000000}}`, "cpu.max", "17592186044415 1000000"},
		{"cpu", `{"cpu":{"quota":1000,"period":1000,"burst":1000,"shares":512}}`, "cpu.max cpu.max.burst cpu.weight", "1000 1000 1000 59"},
		{"cpu", `{"cpu":{"quota":-1,"burst":0}}`, "cpu.max cpu.max.burst", "max 100000 0"},
		{"cpu", `{"cpu":{"quota":17592186044414,"burst":1}}`, "cpu.max cpu.max.burst", "17592186044414 100000 1"},
		{"cpu", `{"cpu":{"quota":-1,"burst":0}}`, "cpu.max cpu.max.burst", "max 100000 0"},
		{"cpu", `{"cpu":{"idle":1,"shares":262144}}`, "cpu.idle", "1"},
		{"cpuset", `{"cpu":{"cpus":"0-0","mems":"0"}}`, "cpuset.cpus cpuset.mems", "0 0"},
		{"io", `{"blockIO":{"weight":500}}`, "io.weight", "default 4950"},
		{"io", `{"blockIO":{"throttleReadBpsDevice":[{DISK,"rate":1048576}],"throttleWriteIOPSDevice":[{DISK,"rate":18446744073709551615}]}}`,
			"io.max", "MAJ:MIN rbps=1048576 wbps=max riops=max wiops=max"},
	} {
		if !has(t, j, c.controller) {
			t.Logf("without the controller %s", c.controller)
			continue
		}
		if strings.Contains(c.document, "DISK") {
			number := disk(t)
			c.document = strings.ReplaceAll(c.document, "DISK", `"major":`+strings.Replace(number, ":", `,"minor":`, 1))
			c.want = strings.Replace(c.want, "MAJ:MIN", number, 1)
		}
		r, err := Decode(strings.NewReader(c.document))
		if err != nil {
			t.Fatal(err)
		}
		limits, err := Limits(r)
		if err != nil {
			t.Fatal(err)
		}
		if c.file == "io.weight" && read(t, j, c.file) == "" {
			t.Log("this kernel has no io.weight (CONFIG_BLK_CGROUP_IOCOST)")
			continue
		}
		if err := j.Limit(limits); err != nil {
			t.Errorf("%s: %v", c.document, err)
		}
		var got []string
		for file := range strings.FieldsSeq(c.file) {
			got = append(got, read(t, j, file))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s is %s, want %s", c.document, c.file, got, c.want)
		}
	}
}
