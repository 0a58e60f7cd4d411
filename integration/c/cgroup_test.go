package c

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// inCgroup has a command born in a fresh cgroup, of which nothing may be left at the end of the test.
func inCgroup(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	group, err := makeCgroup()
	testbed.Need(t, "a cgroup of our own", err)
	fd, err := unix.Open(group, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	t.Cleanup(func() {
		unix.Close(fd)
		dirs := testbed.Below(group)
		for _, dir := range dirs {
			t.Errorf("cgroup left: %s", dir)
			os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		}
		slices.Reverse(dirs)
		for _, dir := range append(dirs, group) {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	})
}

// makeCgroup makes one: below the mount for root, else below our own.
func makeCgroup() (string, error) {
	base, err := testbed.Ground()
	if err != nil {
		return "", err
	}
	group := filepath.Join(base, fmt.Sprintf("it-c-%d", os.Getpid()))
	return group, os.Mkdir(group, 0o755)
}
