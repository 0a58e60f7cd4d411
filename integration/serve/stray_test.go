package serve

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// away has a tree of two leave the cgroup of its job, be orphaned, and print who it is. It is deaf to what asks it to end.
const away = `(echo 0 >'%s/cgroup.procs' && setsid sh -c 'trap "" TERM HUP; sleep 1000 & echo $$ $!; wait' &); exec sleep 1000`

// elsewhere makes a cgroup that is not the server's.
func (b *box) elsewhere() string {
	b.t.Helper()
	testbed.Need(b.t, "a cgroup of our own", noGroup)
	dir := filepath.Join(b.cgroup, "elsewhere")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { os.Remove(dir) })
	return dir
}

// strayed starts a job, part of which has left its cgroup.
func (s *server) strayed(dir string, more object) (j *job, strays []int) {
	s.t.Helper()
	params := object{"stdio": []any{"null", "capture"}}
	for name, value := range more {
		params[name] = value
	}
	j = s.shell(params, fmt.Sprintf(away, dir))
	if strays = j.printedPids(); len(strays) != 2 {
		s.t.Fatalf("strays %v, want two", strays)
	}
	return j, strays
}

// printedPids are those that the job prints at once.
func (j *job) printedPids() (pids []int) {
	j.s.t.Helper()
	text, err := base64.StdEncoding.DecodeString(j.told("output")["data"].(string))
	j.s.must(err)
	for _, f := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(f)
		j.s.must(err)
		pids = append(pids, pid)
	}
	return pids
}

// wantGone: when ended is told, nothing of the job is alive.
func (s *server) wantGone(pids []int) {
	s.t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			s.t.Errorf("ended was told, but %s is alive", describe([]int{pid}))
		}
	}
}

// strayEnds are the ways for such a job to come to its end.
var strayEnds = []struct {
	name, cause string
	params      object
	end         func(s *server, j *job)
	left        int // leftovers, at least
}{
	{"its main process ends", "signaled", nil, func(s *server, j *job) { s.must(unix.Kill(j.pid, unix.SIGTERM)) }, 2},
	{"kill", "killed", nil, func(_ *server, j *job) { j.do("kill", nil) }, 0},
	{"kill with grace", "killed", object{"grace": 0.1}, func(_ *server, j *job) { j.do("kill", object{"grace": 0.1}) }, 0},
	{"timeout", "timeout", object{"timeout": 2, "grace": 0.1}, func(*server, *job) {}, 0},
}

// TestStray: what has moved out of its job's cgroup ends with its job, and before ended, though others go on: be they few or more
// than the server's look through all children is for.
func TestStray(t *testing.T) {
	b := newBox(t)
	dir := b.elsewhere()
	s := b.serve(inCgroup, socket)
	s.hello()
	others := []*job{s.spawn(nil, "sleep", "1000")}
	other, bystanders := s.strayed(dir, nil)
	for len(others) < 150 {
		for _, e := range strayEnds {
			j, strays := s.strayed(dir, e.params)
			e.end(s, j)
			r := j.ended(e.cause)
			s.wantGone(strays)
			if left := r["leftovers"].([]any); len(left) < e.left {
				t.Errorf("%s, %d others: leftovers %s, want %d", e.name, len(others), text(left), e.left)
			}
		}
		for range 149 {
			others = append(others, s.spawn(nil, "sleep", "1000"))
		}
	}
	for _, pid := range bystanders {
		if !alive(pid) {
			t.Errorf("process %d of another job was ended", pid)
		}
	}
	other.kill()
	s.wantGone(bystanders)
	for _, j := range others {
		j.kill()
	}
	s.end()
}

// TestStrayWaited: with leftovers=wait such a process is waited for.
func TestStrayWaited(t *testing.T) {
	b := newBox(t)
	dir := b.elsewhere()
	s := b.serve(inCgroup, socket)
	s.hello()
	other := s.spawn(nil, "sleep", "1000")
	j, strays := s.strayed(dir, object{"leftovers": "wait"})
	s.must(unix.Kill(j.pid, unix.SIGTERM))
	j.told("exited")
	testbed.Eventually(t, patience, "waiting", func() error {
		if state := j.do("stat", nil)["state"]; state != "waiting" {
			return fmt.Errorf("state %v", state)
		}
		return nil
	})
	for _, pid := range strays {
		s.must(unix.Kill(pid, unix.SIGKILL))
	}
	if r := j.ended("signaled"); len(r["leftovers"].([]any)) < 2 {
		t.Errorf("leftovers %s, want two", text(r["leftovers"]))
	}
	other.kill()
	s.end()
}

// TestTimeoutWhileWaiting: what ends a job whose main process has ended, and which waits for the rest, is its cause.
func TestTimeoutWhileWaiting(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.shell(object{"leftovers": "wait", "timeout": 0.2, "grace": 0}, "sleep 1000 & exit 3").ended("timeout")
		j := s.shell(object{"leftovers": "wait"}, "sleep 1000 & exit 3")
		j.told("exited")
		j.kill()
		s.end()
	})
}

// TestStrayMain: a main process that has left, and what it has started since, end as the others do.
func TestStrayMain(t *testing.T) {
	b := newBox(t)
	dir := b.elsewhere()
	s := b.serve(inCgroup, socket)
	s.hello()
	other := s.spawn(nil, "sleep", "1000")
	j := s.shell(object{"stdio": []any{"null", "capture"}}, fmt.Sprintf(`echo 0 >'%s/cgroup.procs'; sleep 1000 & echo $!; wait`, dir))
	pids := append(j.printedPids(), j.pid)
	j.kill()
	s.wantGone(pids)
	other.kill()
	s.end()
}

// TestStrayShot: kill -9 on the server ends them as well. The box sees that nothing is left.
func TestStrayShot(t *testing.T) {
	for _, pause := range []bool{false, true} {
		b := newBox(t)
		dir := b.elsewhere()
		s := b.serve(inCgroup, socket)
		s.hello()
		_, strays := s.strayed(dir, nil)
		_, more := s.strayed(dir, nil)
		strays = append(strays, more...)
		if pause { // stopped, they do not end by themselves either
			for _, pid := range strays {
				s.must(unix.Kill(pid, unix.SIGSTOP))
			}
		}
		s.must(s.cmd.Process.Signal(syscall.SIGKILL))
		s.wait()
		for _, pid := range strays {
			if !awaitEnd(pid, patience) {
				t.Errorf("alive after kill -9 on the server: %s", describe([]int{pid}))
			}
		}
		awaitNoChild(patience)
	}
}

// TestDetachedShot: a job that was detached outlives the server, also one that is killed.
func TestDetachedShot(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("only below systemd: CI runs this test there (integration/test bed)")
	}
	testbed.Need(t, "a cgroup of our own", noGroup)
	b := newBox(t)
	s := b.serve(inCgroup, socket)
	if !slices.Contains(s.features(), "detach") {
		s.end()
		testbed.Need(t, "a service manager", errorf("the server cannot detach"))
	}
	var guardian int
	testbed.Eventually(t, patience, "the guardian", func() error {
		for _, pid := range testbed.Children(s.pid()) {
			if comm(pid) == "guardian" {
				guardian = pid
				return nil
			}
		}
		return errorf("none of %s", describe(testbed.Children(s.pid())))
	})
	j := s.spawn(nil, "sleep", "1000")
	j.do("detach", nil)
	s.must(s.cmd.Process.Signal(syscall.SIGKILL))
	s.wait()
	if !awaitEnd(guardian, patience) || !alive(j.pid) {
		t.Error("the detached job was ended with the server")
	}
	s.must(unix.Kill(j.pid, unix.SIGKILL))
}
