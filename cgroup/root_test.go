package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHoldsOnly(t *testing.T) {
	own := os.Getpid()
	for _, tt := range []struct {
		procs string
		ours  []int
		want  bool
	}{
		{fmt.Sprintln(own), nil, true},
		{fmt.Sprintf("%d\n1\n", own), nil, false},
		{fmt.Sprintf("%d\n1\n", own), []int{1}, true},
		{"1\n", []int{1}, true},
		{fmt.Sprintf("%d\n0\n", own), nil, false}, // outside our PID namespace
		{"", nil, false},
	} {
		if got := plainDir(t, map[string]string{"cgroup.procs": tt.procs}).holdsOnly(tt.ours); got != tt.want {
			t.Errorf("%q, of which ours %v: %v", tt.procs, tt.ours, got)
		}
	}
	if plainDir(t, nil).holdsOnly(nil) {
		t.Error("it cannot be read, and holds only us")
	}
}

// TestMarked: an attribute longer than the buffer is there as well.
func TestMarked(t *testing.T) {
	j := newJob(t)
	const attr = "user.supervise.test"
	for _, value := range []string{"x", strings.Repeat("x", 1000)} {
		if err := unix.Fsetxattr(j.node.fd, attr, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
		if !marked(j.Path(), attr) {
			t.Errorf("an attribute of %d bytes is not seen", len(value))
		}
	}
	if marked(j.Path(), "user.supervise.nosuch") || !marked(j.Path(), xattrJob) || !marked(j.s.path, xattrSession) {
		t.Error("an attribute of ours")
	}
}

// TestOpenPath: Search says what is known of the root that it names.
func TestOpenPath(t *testing.T) {
	path := testRoot(t)
	here, err := locate()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Search{Path: path, Delegated: true, Ends: true}.openPath(here)
	if err != nil || r.origin != Delegated || !r.ends {
		t.Fatalf("%+v, %v", r, err)
	}
	r.close()
	here.mount.root = "/elsewhere"
	if r, err := (Search{Path: "/a"}).openPath(here); err == nil || !strings.Contains(err.Error(), "not shown by the mount") {
		t.Errorf("%+v, %v", r, err)
	}
}

func init() { helpers["evacuate"] = evacuate }

// evacuate is a supervisor in a cgroup of its own, whose path is in the environment:
// it moves itself to a leaf and back, n times.
func evacuate(n int) {
	d, err := openDir(os.Getenv("CGROUP_TEST_ROOT"))
	for ; n > 0 && err == nil; n-- {
		err = moveAndBack(d)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")
}

func moveAndBack(d *dir) error {
	r := &root{dir: d, origin: Explicit}
	if err := r.evacuate(); err != nil || r.leaf != "" {
		return fmt.Errorf("an explicit root was evacuated: %q, %w", r.leaf, err)
	}
	r = &root{dir: d, origin: Delegated}
	if err := r.evacuate(); err != nil || r.leaf != supervisorLeaf || !strings.HasSuffix(Own(), "/"+supervisorLeaf) {
		return fmt.Errorf("evacuated to %q, in %s: %w", r.leaf, Own(), err)
	}
	(&root{dir: d, leaf: supervisorLeaf, ends: true}).restore()
	if !strings.HasSuffix(Own(), "/"+supervisorLeaf) {
		return errors.New("a root that ends with us was restored")
	}
	if err := r.restore(); err != nil || r.leaf != "" || strings.HasSuffix(Own(), "/"+supervisorLeaf) {
		return fmt.Errorf("restored, in %s: %w", Own(), err)
	}
	if _, err := os.Stat(d.join(supervisorLeaf)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the leaf is left: %w", err)
	}
	return nil
}

// TestEvacuate: a supervisor leaves the root, also into the leaf that one before it
// left, and comes back.
func TestEvacuate(t *testing.T) {
	j := newJob(t)
	for _, left := range []bool{false, true} {
		if left {
			if err := os.Mkdir(j.main.path+"/"+supervisorLeaf, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("CGROUP_TEST_ROOT", j.main.path)
		t.Setenv(helperEnv, "evacuate")
		wait(t, start(t, j, "exec /proc/"+fmt.Sprint(os.Getpid())+"/exe 2"))
	}
}
