package subreaper

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestReadProcess(t *testing.T) {
	p, err := readProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.pid != os.Getpid() || p.parent != os.Getppid() || p.dead || p.start == 0 {
		t.Errorf("this process is %+v", p)
	}
	if p, err := readProcess(1 << 30); err == nil {
		t.Errorf("a process that cannot be is %+v", p)
	}
}

// TestChildLists compares the two ways to find children.
func TestChildLists(t *testing.T) {
	used["children"] = true
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	need(t, "CONFIG_PROC_CHILDREN", err)
	want := "the parent has 3 children\nthe lists agree\n"
	if got := helper(t, "children"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func helpChildren(tr *tree) error {
	pid, err := tr.start(`for i in 1 2 3; do sh -c 'echo $$ >&4; read x <&5' & done; echo $$ >&4; wait`, 4)
	if err != nil {
		return err
	}
	scanned, err := scan()
	if err != nil {
		return err
	}
	fmt.Println("the parent has", len(scanned(pid)), "children")
	for _, pid := range append(tr.pids, os.Getpid()) {
		a, b := Children(pid), scanned(pid)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			fmt.Printf("process %d: children %v, scan %v\n", pid, a, b)
		}
	}
	fmt.Println("the lists agree")
	return tr.Kill()
}
