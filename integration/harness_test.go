package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

const (
	// startDeadline is how long a process may take before it and everything it started is killed and the test fails.
	startDeadline = 2 * time.Minute
	// killPatience is how long the end of something that was SIGKILLed may take.
	killPatience = time.Minute
)

// containment is the value of --contain, and the name of the subtest.
type containment string

const (
	inCgroup    containment = "cgroup"
	inSubreaper containment = "subreaper"
)

func (c containment) flag() string { return "--contain=" + string(c) }

// forEachContainment runs a test once in each containment. A machine without a cgroup for us runs the fallback only.
func forEachContainment(t *testing.T, test func(t *testing.T, c containment)) {
	t.Run(string(inCgroup), func(t *testing.T) {
		needCgroup(t)
		test(t, inCgroup)
	})
	t.Run(string(inSubreaper), func(t *testing.T) { test(t, inSubreaper) })
}

func needCgroup(t *testing.T) {
	t.Helper()
	testbed.Need(t, "a cgroup of our own", noGroup)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only for root: CI runs these tests as root and as a user")
	}
}

// A box is what one test runs in. It holds what the test started, and at its end checks that nothing is left.
type box struct {
	t     *testing.T
	dir   string // for files, removed at the end
	group *group // nil where there is no cgroup of our own; every process starts in it
	fds   map[string]string

	mu    sync.Mutex
	procs []*proc
	// staleOK: sub-cgroups without processes may be left. For tests that kill supervisor and guardian at once.
	staleOK bool
	timers  sync.WaitGroup // deadlines that may still strike
}

var boxes int

// newBox makes the box of a test or subtest. A test starts everything through it.
func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), fds: openFds()}
	// Some tests become another user, who must reach the files.
	for dir := b.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	if runGroup != nil {
		boxes++
		g, err := makeGroup(runGroup.file(fmt.Sprintf("t%d", boxes)))
		if err != nil {
			t.Fatal(err)
		}
		b.group = g
	}
	t.Cleanup(b.close)
	return b
}

// close ends what still runs and fails the test for everything that is left.
func (b *box) close() {
	for _, p := range b.procs {
		if p.running() {
			b.t.Errorf("the test is over, but %v still runs", p.argv)
			b.abort()
		}
		<-p.done
		p.release()
	}
	b.timers.Wait()
	if err := b.settle(killPatience); err != nil {
		b.t.Error(err)
		b.abort()
	}
	b.closeGroup()
	for fd, name := range openFds() {
		if b.fds[fd] != name {
			b.t.Errorf("leaked descriptor %s: %s", fd, name)
		}
	}
}

func (b *box) closeGroup() {
	if b.group == nil {
		return
	}
	if left := b.group.sessions(); len(left) > 0 && !b.staleOK {
		b.t.Errorf("cgroups left: %q", left)
	}
	if err := b.group.destroy(); err != nil {
		b.t.Error(err)
	}
}

// abort kills everything the box started. It is for tests that have failed already.
func (b *box) abort() {
	if b.group != nil {
		b.group.kill()
		b.group.waitEvent("populated 0", countdown(killPatience))
	}
	killDescendants() // what was moved elsewhere
}

// A launch says how to start a process. The zero value of each field works.
type launch struct {
	argv []string
	env  []string // added to ours
	dir  string
	// nil: stdin is a pipe that proc.stdin writes; stdout and stderr are collected.
	stdin, stdout, stderr *os.File
	extra                 []*os.File // descriptors 4, 5, ...: 3 is the leak pipe
	attr                  syscall.SysProcAttr
	deadline              time.Duration // 0: startDeadline
	record                string        // where the record is to appear; "": none
	outside               bool          // start it in our own cgroup, not the box's
}

// run is `supervise run` in a containment, its record going to a file of the box.
func (b *box) run(c containment, flags []string, argv ...string) launch {
	l := b.supervise(append([]string{c.flag()}, flags...), argv...)
	return l
}

// supervise is `supervise run` with these flags and a record.
func (b *box) supervise(flags []string, argv ...string) launch {
	b.mu.Lock()
	defer b.mu.Unlock()
	record := filepath.Join(b.dir, fmt.Sprintf("record-%d.json", len(b.procs)))
	args := append([]string{bin.supervise, "run", "--record", record}, flags...)
	return launch{argv: append(append(args, "--"), argv...), record: record}
}

// adversary is the command line of a mode of the adversary program.
func adversary(mode string, args ...string) []string {
	return append([]string{bin.adversary, mode}, args...)
}

// eventually is the one place that polls, for what gives no event: a foreign program that is not ready yet.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for left := countdown(killPatience); left() > 0; <-tick.C {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
