package guardian

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A supervisor that dies is this test binary, executed anew with helperEnv set; the twin executes it once more.
const helperEnv = "GUARDIAN_TEST_HELPER"

func TestMain(m *testing.M) {
	if args, ok := Invoked(); ok {
		fmt.Fprintf(os.NewFile(keptByCleaner, "keep"), "%q %v\n", args, openFDs())
		os.Exit(0)
	}
	switch os.Getenv(helperEnv) {
	case "die":
		os.Exit(die())
	case "foster":
		os.Exit(dieAbove())
	case "stops":
		os.Exit(startStopped())
	}
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	code := m.Run()
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WALL, nil); err != unix.ECHILD {
		fmt.Fprintln(os.Stderr, "a child is left:", err)
		code = 1
	}
	os.Exit(code)
}

// Descriptors of the helper.
const (
	killFD        = 3
	keptByCleaner = 4
	alsoKept      = 5
	closedFD      = 6
)

// die is a supervisor that starts its guardian and is killed.
func die() int {
	for fd := killFD; fd <= closedFD; fd++ {
		unix.CloseOnExec(fd)
	}
	g, err := Start(Plan{Kill: killFD, Keep: [2]int{keptByCleaner, alsoKept}, Args: [2]string{"first", "second one"}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(g.PID())
	unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// openFDs lists the pipes among the descriptors: Go's runtime opens others for itself.
func openFDs() (fds []int) {
	for fd := range 64 {
		if target, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); strings.HasPrefix(target, "pipe:") {
			fds = append(fds, fd)
		}
	}
	return fds
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// TestDeath: when the supervisor is killed, the twin writes "1" to cgroup.kill, for which a pipe stands here, and executes the program
// with its arguments, and with no descriptor but those to keep.
func TestDeath(t *testing.T) {
	killed, kill := pipe(t)
	kept, keep := pipe(t)
	out, stdout := pipe(t)
	_, other := pipe(t)
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"helper"}, &syscall.ProcAttr{
		Env:   append(os.Environ(), helperEnv+"=die"),
		Files: []uintptr{0, stdout.Fd(), 2, kill.Fd(), keep.Fd(), other.Fd(), other.Fd()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{kill, keep, stdout, other} {
		f.Close()
	}
	printed, _ := io.ReadAll(out) // the twin has closed it, too
	twin, err := strconv.Atoi(strings.TrimSpace(string(printed)))
	if err != nil {
		t.Fatalf("the helper says %q", printed)
	}
	if b, err := io.ReadAll(killed); string(b) != "1" || err != nil {
		t.Errorf("cgroup.kill got %q, %v", b, err)
	}
	want := fmt.Sprintf("[\"first\" \"second one\"] [%d %d]\n", keptByCleaner, alsoKept)
	if b, err := io.ReadAll(kept); err != nil || string(b) != want {
		t.Errorf("the cleaner says %q, %v, want %q", b, err, want)
	}
	unix.Wait4(pid, nil, 0, nil)
	unix.Wait4(twin, nil, unix.WALL, nil)
}

// asleep waits until the twin sleeps in its read: then it has done all that it does before. Nothing tells of that.
func asleep(t *testing.T, pid int) {
	t.Helper()
	for range 1_000_000 {
		if strings.HasPrefix(field(pid, "status", "State:"), "S") {
			return
		}
	}
	t.Fatal("the twin does not come to rest")
}

func comm(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return string(b)
}

// TestDismiss: a twin that is dismissed exits and kills no process. Until then it disturbs none.
func TestDismiss(t *testing.T) {
	killed, kill := pipe(t)
	_, keep := pipe(t)
	g, err := Start(Plan{Kill: int(kill.Fd()), Keep: [2]int{int(keep.Fd()), -1}})
	if err != nil {
		t.Fatal(err)
	}
	asleep(t, g.PID())
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != unix.ECHILD {
		t.Errorf("waitid sees it: %v", err)
	}
	if name := strings.TrimSpace(comm(g.PID())); name != "guardian" {
		t.Errorf("its name is %q", name)
	}
	if blocked := field(g.PID(), "status", "SigBlk:"); blocked != "fffffffffffbfeff" && blocked != "fffffffe7ffbfeff" { // but KILL and STOP
		t.Errorf("it blocks %s", blocked)
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", g.PID())); cwd != "/" {
		t.Errorf("it is in %s, %v", cwd, err)
	}
	if sid, err := unix.Getsid(g.PID()); sid != g.PID() {
		t.Errorf("its session is %d, %v", sid, err)
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.PID())); len(fds) != 3 {
		t.Errorf("its descriptors are %v, %v, want its pipe, the one to kill by, the one to keep", fds, err)
	}
	g.Dismiss()
	g.Wait()
	if err := unix.Kill(g.PID(), 0); err != unix.ESRCH {
		t.Errorf("it is still there: %v", err)
	}
	kill.Close()
	if b, err := io.ReadAll(killed); len(b) != 0 || err != nil {
		t.Errorf("it has killed: %q, %v", b, err)
	}
}

// TestDismissStopped: a twin that is stopped, or frozen with the cgroup that it is in, does not hold up the supervisor's end.
func TestDismissStopped(t *testing.T) {
	_, kill := pipe(t)
	_, keep := pipe(t)
	g, err := Start(Plan{Kill: int(kill.Fd()), Keep: [2]int{int(keep.Fd()), -1}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Post([]unix.Signal{unix.SIGTERM})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{g.PID(), s.PID()} {
		asleep(t, pid)
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { s.Dismiss(); g.Dismiss(); g.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		unix.Kill(s.PID(), unix.SIGCONT)
		unix.Kill(g.PID(), unix.SIGCONT)
		t.Error("it waits for a twin that is stopped")
	}
}

// TestLean: the twin has nothing of Go's heap, which stays whole with us.
func TestLean(t *testing.T) {
	if withC || uintptr(unsafe.Pointer(&plan)) > 1<<32 {
		t.Skip("this test binary is position-independent, or has C's library")
	}
	heap := bytes.Repeat([]byte("x"), 8<<20)
	for range 2 { // what was kept out of one fork is kept out of the next
		g, err := Start(Plan{Kill: -1, Keep: [2]int{-1, -1}})
		if err != nil {
			t.Fatal(err)
		}
		for !strings.HasPrefix(field(g.PID(), "status", "State:"), "S") {
		}
		if its := number(field(g.PID(), "smaps_rollup", "Anonymous:")); its > 1<<10 {
			t.Errorf("the twin has %d KiB", its)
		}
		g.Dismiss()
		g.Wait()
	}
	if heap[0] != 'x' || heap[len(heap)-1] != 'x' {
		t.Error("the supervisor has lost its heap")
	}
}

// field returns what stands behind a name in a file of /proc/PID.
func field(pid int, file, name string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	_, rest, _ := strings.Cut(string(b), "\n"+name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func number(text string) (n int) {
	fmt.Sscan(text, &n)
	return n
}

func TestLongArgument(t *testing.T) {
	for n, ok := range map[int]bool{maxArg - 1: true, maxArg: false} {
		p := Plan{Args: [2]string{strings.Repeat("x", n), ""}}
		if _, err := p.layOut(0); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestGaps(t *testing.T) {
	for _, tt := range []struct {
		keep []int
		want [][2]uintptr
	}{
		{[]int{3}, [][2]uintptr{{0, 2}, {4, maxFD}}},
		{[]int{5, 3}, [][2]uintptr{{0, 2}, {4, 4}, {6, maxFD}}},
		{[]int{3, 4, 5, 6}, [][2]uintptr{{0, 2}, {7, maxFD}}},
		{[]int{9, 7, 5, 3}, [][2]uintptr{{0, 2}, {4, 4}, {6, 6}, {8, 8}, {10, maxFD}}},
	} {
		got := gaps(tt.keep)
		if !slices.Equal(got[:len(tt.want)], tt.want) || slices.ContainsFunc(got[len(tt.want):], func(r [2]uintptr) bool { return r != [2]uintptr{} }) {
			t.Errorf("%v: %v, want %v", tt.keep, got, tt.want)
		}
	}
}

func TestInvoked(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	for _, tt := range []struct {
		args []string
		ok   bool
	}{
		{[]string{cleanerName, "a", "b"}, true},
		{[]string{cleanerName, "a"}, false},
		{[]string{filepath.Base(args[0]), "a", "b"}, false},
	} {
		os.Args = tt.args
		if got, ok := Invoked(); ok != tt.ok || ok && !slices.Equal(got, tt.args[1:]) {
			t.Errorf("%q: %q, %t", tt.args, got, ok)
		}
	}
}

func BenchmarkGuardian(b *testing.B) {
	for b.Loop() {
		g, err := Start(Plan{Kill: -1, Keep: [2]int{-1, -1}})
		if err != nil {
			b.Fatal(err)
		}
		g.Dismiss()
		g.Wait()
	}
}

// TestApart: after Apart, a job that kills its process group does not hit the twin.
func TestApart(t *testing.T) {
	for range 100 {
		g, err := Start(Plan{Kill: -1, Keep: [2]int{-1, -1}})
		if err != nil {
			t.Fatal(err)
		}
		g.Apart()
		if sid, err := unix.Getsid(g.PID()); sid != g.PID() {
			t.Errorf("the session of twin %d is %d, %v", g.PID(), sid, err)
		}
		g.Dismiss()
		g.Wait()
	}
}
