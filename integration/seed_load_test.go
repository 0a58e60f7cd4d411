package integration

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A child that ends before, during or right after the exec of supervise: always its event, then exit 0.
func TestSeedShortChild(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		rounds := 5000 // in each containment
		if testing.Short() {
			rounds = 250
		}
		b := newBox(t)
		l := launch{argv: []string{testBinary(t)}, env: []string{fmt.Sprintf("%s=%d", seedStorm, rounds)}, deadline: 10 * time.Minute}
		spec := seedSpec{Supervise: bin.supervise}
		b.confine(c, &l, &spec)
		l.env = append(l.env, seedStormProgram+"="+spec.Supervise, seedStormReadOnly+"="+spec.ReadOnly)
		o := b.start(l).wait()
		o.wantCode(0)
		if o.stderr != "" {
			t.Errorf("%s", tail(o.stderr))
		}
	})
}

// The environment of the storm: the test binary as a client that starts supervise again and again.
const (
	seedStorm         = "SUPERVISE_TEST_SEED_STORM" // how often
	seedStormProgram  = "SUPERVISE_TEST_SEED_STORM_PROGRAM"
	seedStormReadOnly = "SUPERVISE_TEST_SEED_STORM_READONLY"
)

func init() {
	text := os.Getenv(seedStorm)
	if text == "" {
		return
	}
	var rounds int
	fmt.Sscan(text, &rounds)
	if point := os.Getenv(seedStormReadOnly); point != "" {
		if err := remountReadOnly(point); err != nil {
			fmt.Fprintln(os.Stderr, "seed storm:", err)
			os.Exit(99)
		}
	}
	os.Exit(storm(rounds, os.Getenv(seedStormProgram)))
}

// storm works on several clients at once, so that there is no idle processor to run a child at once.
func storm(rounds int, program string) (code int) {
	var next, failures atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { // ends after the last round
			for next.Add(1) <= int64(rounds) && failures.Load() < 10 {
				spec := shortLived(program)
				if err := shortChild(spec); err != nil {
					failures.Add(1)
					fmt.Fprintf(os.Stderr, "%+v: %v\n", spec, err)
				}
			}
		})
	}
	clients.Wait()
	if failures.Load() > 0 {
		return 1
	}
	return 0
}

// shortLived is one in four times a child that has ended before the exec, else one that runs a race with it. How long a
// spin takes is no matter, if only all orders of the two happen.
func shortLived(program string) seedSpec {
	child := shell(fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); done; exit 7", rand.Intn(2000)))
	return seedSpec{Supervise: program, Children: [][]string{child}, Dead: rand.Intn(4) == 0, Spin: rand.Intn(1e6)}
}

// shortChild is one round.
func shortChild(spec seedSpec) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fds[0])
	unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(startDeadline.Seconds())})
	pid, err := forkStarter(spec, fds[1])
	unix.Close(fds[1])
	if err != nil {
		return err
	}
	events, readErr := readEvents(fds[0])
	if readErr != nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	if readErr != nil || status != 0 || len(events) != 1 || events[0].code != cldExited || events[0].status != 7 {
		return fmt.Errorf("events %v, status %#x, %w", events, uint32(status), readErr)
	}
	return nil
}

// forkStarter starts a starter with a socket as its control descriptor. What it reports and its children print goes nowhere.
func forkStarter(spec seedSpec, control int) (pid int, err error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec("/proc/self/exe", []string{"starter"}, &syscall.ProcAttr{
		Env:   []string{seedStarter + "=" + string(text)},
		Files: []uintptr{uintptr(control), uintptr(control), 2, starterLeak, null.Fd(), null.Fd()},
	})
}

// readEvents reads to the end.
func readEvents(fd int) (events []event, err error) {
	buf := make([]byte, 2*eventSize)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return events, err
		}
		e, err := parseEvent(buf[:n])
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func testBinary(t *testing.T) string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// The owner does not read while thousands of children exit, one after the other. Then it does, and gets every event once
// and in order; supervise has kept none of it in memory.
func TestSeedOwnerNeverReads(t *testing.T) {
	children := 5000
	if testing.Short() {
		children = manyUnread
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, nonblock := range []bool{false, true} {
			t.Run(fmt.Sprintf("nonblock=%v", nonblock), func(t *testing.T) {
				ownerNeverReads(t, c, seqpacket, seedSpec{Nonblock: nonblock, Children: slices.Repeat([][]string{sleeper}, children)})
			})
		}
		for _, via := range []transport{stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				ownerNeverReads(t, c, via, seedSpec{Children: slices.Repeat([][]string{sleeper}, manyUnread)})
			})
		}
	})
}

// manyUnread is more than any transport has room for: a pipe takes 512 events, a socket half of that.
const manyUnread = 700

// settledMemory waits until supervise has done what it does at the start: it may be moving the children, with systemd's help.
// That it waits for a processor is no rest.
func settledMemory(t *testing.T, pid int) int {
	t.Helper()
	last, same := 0, 0
	eventually(t, "an idle supervise", func() error {
		now := memoryOf(pid)
		if same++; now != last || !asleep(pid) || slices.ContainsFunc(testbed.Children(pid), isScopeHelper) {
			last, same = now, 0
		}
		if same < 60 { // of 5 ms
			return fmt.Errorf("%d kB", now)
		}
		return nil
	})
	return last
}

// asleep says whether all threads of a process wait for something to happen.
func asleep(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return !slices.ContainsFunc(threads, func(file string) bool {
		stat, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(rest, "S")
	})
}

func isScopeHelper(pid int) bool { return comm(pid) == "supervise-scope" }

func ownerNeverReads(t *testing.T, c containment, via transport, spec seedSpec) {
	b := newBox(t)
	s := b.startSeed(c, via, spec)
	first, rest := s.pids[0], s.pids[1:]
	s.kill(first)
	before := settledMemory(t, s.pid())
	for _, pid := range rest {
		s.must(syscall.Kill(pid, syscall.SIGTERM))
		s.must(waitPid(pid, startDeadline))
	}
	if after := memoryOf(s.pid()); after > before+512 {
		t.Errorf("the resident set of supervise grew from %d kB to %d kB", before, after)
	}
	for _, pid := range rest {
		s.want(event{cldKilled, pid, int(syscall.SIGTERM)})
	}
	s.wantExit(0)
}

// memoryOf is the anonymous memory of a process in kB: pages of the program's file come and go as they are used.
func memoryOf(pid int) (kb int) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			fmt.Sscan(text, &kb)
		}
	}
	return kb
}

// Killing does not wait for the owner to read, only the events do.
func TestSeedKillDoesNotWaitForOwner(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).startSeed(c, seqpacket, seedSpec{Children: slices.Repeat([][]string{sleeper}, manyUnread)})
		s.kill(s.pids[0])
		s.closeRequests()
		for _, pid := range s.pids[1:] {
			s.must(waitPid(pid, startDeadline))
		}
		s.wantKilled(s.drain(), s.pids[1:]...)
		s.wantExit(0)
	})
}

// An owner that has never read goes away: what it has not read is not waited for.
func TestSeedOwnerLeavesUnread(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{seqpacket, stream, pipes} {
			t.Run(string(via), func(t *testing.T) {
				s := newBox(t).startSeed(c, via, seedSpec{Children: slices.Repeat([][]string{sleeper}, manyUnread)})
				s.kill(s.pids[0])
				for _, pid := range s.pids[1 : manyUnread-100] {
					s.must(syscall.Kill(pid, syscall.SIGTERM))
					s.must(waitPid(pid, startDeadline))
				}
				s.must(s.requests.Close())
				s.events.Close()
				s.wait().wantCode(0)
			})
		}
	})
}
