package jobs

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnnounced(t *testing.T) {
	const text = `1: POSIX  ADVISORY  READ  1234 00:16:5678 8319679467651230067 8319679467651230067
2: FLOCK  ADVISORY  WRITE 77 00:1b:5678 8319679467651230067 EOF
3: POSIX  ADVISORY  WRITE 88 00:1b:5678 0 EOF
4: -> POSIX  ADVISORY  READ 99 00:16:5678 8319679467651230067 8319679467651230067
5: OFDLCK ADVISORY  READ  -1 00:16:5678 8319679467651230067 8319679467651230067
6: POSIX
`
	if got := announced([]byte(text)); !slices.Equal(got, []int{1234}) {
		t.Errorf("%v", got)
	}
}

func FuzzAnnounced(f *testing.F) {
	f.Add([]byte("1: POSIX  ADVISORY  READ  1234 00:16:5678 8319679467651230067 8319679467651230067\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, pid := range announced(text) {
			if pid <= 0 || !bytes.Contains(text, []byte("POSIX")) {
				t.Errorf("%d in %q", pid, text)
			}
		}
	})
}

// TestAnnounce: the kernel lists this process as long as the descriptor is open, and none of its children.
func TestAnnounce(t *testing.T) {
	fd := Announce()
	if fd < 0 {
		t.Fatal("no lock")
	}
	child := exec.Command("cat")
	in, _ := child.StdinPipe()
	child.ExtraFiles = []*os.File{os.NewFile(uintptr(must(unix.Dup(fd))), "comm")}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if got := supervisors(); !slices.Contains(got, os.Getpid()) || slices.Contains(got, child.Process.Pid) {
		t.Errorf("announced: %v, and this is %d, its child %d", got, os.Getpid(), child.Process.Pid)
	}
	in.Close()
	child.Wait()
	child.ExtraFiles[0].Close()
	unix.Close(fd)
	if got := supervisors(); slices.Contains(got, os.Getpid()) {
		t.Errorf("still announced: %v", got)
	}
}

func must(fd int, err error) int {
	if err != nil {
		panic(err)
	}
	return fd
}

func TestNameOf(t *testing.T) {
	for want, argv := range map[string][]string{
		"":  {"supervise", "run", "docker", "--name", "x"},
		"a": {"supervise", "run", "--name=a", "--", "cmd", "--name=b"},
		"b": {"supervise", "run", "--name", "b", "--", "cmd"},
		"c": {"supervise", "run", "--timeout", "9", "--name", "c", "--"},
	} {
		if got := nameOf(argv); got != want {
			t.Errorf("%q: %q, want %q", argv, got, want)
		}
	}
	for _, argv := range [][]string{nil, {"supervise"}, {"supervise", "--"}, {"supervise", "run", "--name", "--"}} {
		if got := nameOf(argv); got != "" && got != "--" {
			t.Errorf("%q: %q", argv, got)
		}
	}
}

// TestLineage: twins of the supervisor and what has ended are no part of a job.
func TestLineage(t *testing.T) {
	p := func(pid, parent, exit int, state byte) (one process) {
		one.PID, one.Parent, one.State, one.Threads, one.Start, one.exit = pid, parent, state, 1, uint64(pid), exit
		return one
	}
	tab := &table{all: map[int]process{}, children: map[int][]int{}}
	for _, one := range []process{p(10, 1, 17, 'S'), p(11, 10, 0, 'S'), p(12, 10, 17, 'S'), p(13, 12, 17, 'Z'), p(14, 12, 17, 'R'), p(15, 14, 0, 'S'), p(20, 1, 17, 'S')} {
		tab.all[one.PID] = one
		tab.children[one.Parent] = append(tab.children[one.Parent], one.PID)
	}
	if got := tab.lineage(10); !slices.Equal(got, []int{12, 14, 15}) {
		t.Errorf("%v", got)
	}
	if got := tab.owner(12, func(pid int) bool { return pid == 10 }); got != 1 {
		t.Errorf("owner %d", got)
	}
}

// TestNested: every job is listed once, below the one that its supervisor is in, also where that is itself.
func TestNested(t *testing.T) {
	job := func(id, dir string, supervisor int) *Job {
		j := &Job{}
		j.ID, j.Supervisor = id, &supervisor
		if dir != "" {
			j.Cgroup = &dir
		}
		return j
	}
	f := &finder{table: &table{all: map[int]process{}}, inCgroups: map[string]*Job{}, lineages: map[int]*Job{}, placed: map[int]string{
		1: "/c/elsewhere", 2: "/c/a/main", 3: "/c/own/main", 4: "/c/y/main", 5: "/c/x/main",
	}}
	for _, j := range []*Job{job("a", "/c/a", 1), job("b", "/c/b", 2), job("inner", "/c/a/inner", 9), job("own", "/c/own", 3), job("x", "/c/x", 4), job("y", "/c/y", 5)} {
		f.jobs = append(f.jobs, j)
		f.inCgroups[*j.Cgroup] = j
	}
	var got []string
	for _, j := range f.nested() {
		got = append(got, strings.Repeat(">", j.Depth)+j.ID)
	}
	if want := []string{"a", ">b", ">inner", "own", "x", ">y"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
