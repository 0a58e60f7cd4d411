package subreaper

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Trees belong to helpers: this test binary, executed anew with helperEnv set,
// as a subreaper that starts processes, does one thing to them and tells on
// stdout what it sees. Each of its processes holds the write end of a pipe, so
// that the test sees the end of the last one as end of file.

const helperEnv = "SUBREAPER_TEST_HELPER"

var helpers = map[string]func(*tree) error{
	"children":   helpChildren,
	"growing":    helpGrowing,
	"kill":       helpKill,
	"signal":     helpSignal,
	"spare":      helpSpare,
	"start":      helpStart,
	"still":      helpStill,
	"still-over": helpStillOver,
	"untaken":    helpUntaken,
	"zombies":    helpZombies,
}

var used = map[string]bool{}

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(helperEnv); ok {
		os.Exit(help(name))
	}
	if r, w, err := os.Pipe(); err == nil { // the runtime keeps descriptors for its poller
		r.Close()
		w.Close()
	}
	code := m.Run()
	for name := range helpers {
		if code == 0 && allRan() && !used[name] {
			fmt.Fprintf(os.Stderr, "helper %q is unused\n", name)
			code = 1
		}
	}
	os.Exit(code)
}

// allRan says whether no flag has left tests out.
func allRan() bool {
	for _, name := range []string{"run", "skip", "list", "fuzz", "fuzzworker"} {
		if v := flag.Lookup("test." + name).Value.String(); v != "" && v != "false" {
			return false
		}
	}
	return true
}

// need skips, or fails where CI promises the feature.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("SUPERVISE_CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// helper runs a helper, returns what it says, and fails the test if anything of
// it is left.
func helper(t *testing.T, name string) string {
	t.Helper()
	used[name] = true
	before := openFDs(t)
	alive, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	block, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	ctx := t.Context()
	if d, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.Add(-5*time.Second))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), helperEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{held, block} // descriptors 3 and 4
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("helper %s: %v", name, err)
	}
	held.Close()
	alive.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := alive.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("helper %s has left processes: %v", name, err)
	}
	for _, f := range []*os.File{alive, block, end} { // end lets go what is left
		f.Close()
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	return string(out)
}

func openFDs(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// help is the life of a helper.
func help(name string) int {
	f, ok := helpers[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no helper %q\n", name)
		return 2
	}
	if err := runHelper(f); err != nil {
		fmt.Fprintf(os.Stderr, "helper %s: %v\n", name, err)
		return 1
	}
	return 0
}

func runHelper(f func(*tree) error) error {
	if err := Become(); err != nil {
		return err
	}
	reports, report, err := os.Pipe()
	if err != nil {
		return err
	}
	tr := &tree{report: report, reports: bufio.NewReader(reports)}
	err = f(tr)
	tr.Spare = nil
	return errors.Join(err, tr.Kill()) // in case it has come to an error
}

// A tree is a Tree of shell scripts. They report on descriptor 4, a pid a line,
// and block, where they are to, by reading from descriptor 5, which ends when the
// test does.
type tree struct {
	Tree
	report  *os.File
	reports *bufio.Reader
	pids    []int // that have reported
}

// start runs a script and waits for so many reports.
func (tr *tree) start(script string, reports int) (pid int, err error) {
	files := []uintptr{0, 2, 2, 3, tr.report.Fd(), 4}
	pid, err = tr.Start("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Env: os.Environ(), Files: files})
	if err != nil {
		return 0, err
	}
	more, err := tr.read(reports)
	tr.pids = append(tr.pids, more...)
	return pid, err
}

// read reads reports.
func (tr *tree) read(n int) (pids []int, err error) {
	for range n {
		line, err := tr.reports.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("waiting for a report: %w", err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// tell prints how many of pids the tree has, and whether it is empty.
func (tr *tree) tell(when string, pids ...int) error {
	procs, err := tr.Procs()
	if err != nil {
		return err
	}
	empty, err := tr.Empty()
	known := 0
	for _, pid := range pids {
		if slices.Contains(procs, pid) {
			known++
		}
	}
	fmt.Printf("%s: %d of %d, empty %t\n", when, known, len(pids), empty)
	if err == nil && empty && len(procs) > 0 {
		return fmt.Errorf("empty, but for %v", procs)
	}
	return err
}

// await waits for a child to change status, and leaves the status.
func await(pid, options int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, options|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// changed says whether a child has changed status, of which nobody took notice.
func changed(pid, options int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, options|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0
}

// everyKind has six processes that try to be missed, and the parent of some.
const everyKind = `
leaf='echo $$ >&4; read x <&5'
sh -c "$leaf" &
setsid sh -c "$leaf" &
(sh -c "$leaf" &)                         # double fork
(setsid sh -c "sh -c '$leaf' &" &)        # a daemon
sh -c 'trap "" HUP INT TERM; echo $$ >&4; read x <&5' &
sh -c 'echo $$ >&4; kill -STOP $$; read x <&5' &
echo $$ >&4; wait`
