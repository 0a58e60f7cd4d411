package serve

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A box is what a test runs in: a directory, a cgroup where one is to be had, and what it started.
type box struct {
	t       *testing.T
	dir     string
	cgroup  string // "": none
	fds     map[string]string
	servers []*server
	// staleOK: cgroups without processes may be left, as supervisor and guardian were killed.
	staleOK bool
}

var boxes int

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, fds: openFds(os.Getpid()), dir: t.TempDir()}
	if noGroup == nil {
		boxes++
		b.cgroup = filepath.Join(group, fmt.Sprintf("t%d", boxes))
		if err := os.Mkdir(b.cgroup, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.close)
	return b
}

// close checks that nothing is left, and ends what is.
func (b *box) close() {
	for _, s := range b.servers {
		s.close()
	}
	if left := awaitNoChild(patience); len(left) > 0 {
		b.t.Errorf("processes left: %s", describe(left))
		killDescendants()
	}
	b.closeCgroup()
	for fd, name := range openFds(os.Getpid()) {
		if b.fds[fd] != name {
			b.t.Errorf("leaked descriptor %s: %s", fd, name)
		}
	}
}

func (b *box) closeCgroup() {
	if b.cgroup == "" {
		return
	}
	left := testbed.Below(b.cgroup)
	if stale := slices.DeleteFunc(slices.Clone(left), func(dir string) bool { return filepath.Base(dir) == "supervisor" }); len(stale) > 0 && !b.staleOK {
		b.t.Errorf("cgroups left: %q", stale)
	}
	slices.Reverse(left)
	for _, dir := range append(left, b.cgroup) {
		if err := os.Remove(dir); err != nil {
			b.t.Error(err)
		}
	}
}

// place has a command born in the box's cgroup; close is to be called when it was.
func (b *box) place(cmd *exec.Cmd) (close func()) {
	if b.cgroup == "" {
		return func() {}
	}
	fd, err := unix.Open(b.cgroup, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, fd
	return func() { unix.Close(fd) }
}

// group is the cgroup of the whole run; noGroup says why there is none.
var (
	group   string
	noGroup error
)

// newRunGroup makes a cgroup below the mount for root, else below our own.
func newRunGroup() (string, error) {
	ground, err := testbed.Ground()
	if err != nil {
		return "", err
	}
	removeOldRuns(ground)
	dir := filepath.Join(ground, fmt.Sprintf("serve-%d", os.Getpid()))
	return dir, os.Mkdir(dir, 0o755)
}

// removeOldRuns removes what is empty of test runs that were killed, as workers of a fuzzer are.
func removeOldRuns(ground string) {
	old, _ := filepath.Glob(filepath.Join(ground, "serve-*"))
	for _, dir := range old {
		_, pid, _ := strings.Cut(filepath.Base(dir), "-")
		if _, err := os.Stat("/proc/" + pid); !os.IsNotExist(err) {
			continue
		}
		dirs := append([]string{dir}, testbed.Below(dir)...)
		slices.Reverse(dirs)
		for _, d := range dirs {
			os.Remove(d) // which the kernel refuses if anybody is in it
		}
	}
}

// openFds maps the descriptors of a process to what they are.
func openFds(pid int) map[string]string {
	fds := map[string]string{}
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if name, err := os.Readlink(dir + e.Name()); err == nil { // else it was that of the directory
			fds[e.Name()] = name
		}
	}
	return fds
}

// descendants are all processes below one, parents first.
func descendants(pid int) []int {
	seen := map[int]bool{}
	found := testbed.Children(pid)
	for i := 0; i < len(found); i++ {
		for _, child := range testbed.Children(found[i]) {
			if !seen[child] {
				seen[child] = true
				found = append(found, child)
			}
		}
	}
	return found
}

// awaitNoChild waits until we have no child, reaping those that were re-parented to us, and returns who stays.
func awaitNoChild(wait time.Duration) []int {
	for end := time.Now().Add(wait); ; {
		left := testbed.Children(os.Getpid())
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			if awaitEnd(pid, time.Until(end)); time.Now().After(end) {
				return descendants(os.Getpid())
			}
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// awaitEnd waits until a process has ended, and says whether it has.
func awaitEnd(pid int, wait time.Duration) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	return pollFor(fd, unix.POLLIN, wait)
}

// pollFor waits until there are events at a descriptor, and says whether there are.
func pollFor(fd int, events int16, wait time.Duration) bool {
	for end := time.Now().Add(wait); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, max(0, int(time.Until(end).Milliseconds())))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

// killDescendants is for tests that have failed already.
func killDescendants() {
	for range 100 {
		for _, pid := range descendants(os.Getpid()) {
			unix.Kill(pid, syscall.SIGKILL)
		}
		if len(awaitNoChild(time.Second)) == 0 {
			return
		}
	}
}

func describe(pids []int) string {
	var names []string
	for _, pid := range pids[:min(len(pids), 20)] {
		var cmdline []byte
		if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); !strings.Contains(string(stat), ") D ") { // else the reading may hang as well
			cmdline, _ = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		}
		names = append(names, fmt.Sprintf("%d %s [%s]", pid, comm(pid), strings.ReplaceAll(string(cmdline), "\x00", " ")))
	}
	return fmt.Sprintf("%d: %s", len(pids), strings.Join(names, "; "))
}

// sorted are the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

var errorf = fmt.Errorf

// comm is the name of a process, "" if it is not there.
func comm(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(data))
}

// alive says whether a process is there, and no zombie.
func alive(pid int) bool {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	return rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}

// descendantsNamed are the live ones of a process whose program has a name.
func descendantsNamed(pid int, name string) (found []int) {
	for _, p := range descendants(pid) {
		if comm(p) == name {
			found = append(found, p)
		}
	}
	return found
}

// wantSleepers wants so many descendants to be sleep(1).
func wantSleepers(pid, want int) error {
	if n := len(descendantsNamed(pid, "sleep")); n != want {
		return fmt.Errorf("%d sleep, want %d", n, want)
	}
	return nil
}
