package containers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

const (
	// deadline is how long a container may take.
	deadline = 3 * time.Minute
	// patience is how long the end of what was killed may take.
	patience = time.Minute
)

// inBed says whether the tests run where everything is promised.
func inBed() bool { return os.Getenv("SUPERVISE_BED") != "" }

// need skips the test if a probe failed. In a bed a skip is a failure.
func need(t *testing.T, what string, probe error) {
	t.Helper()
	switch {
	case probe == nil:
	case inBed():
		t.Fatalf("need %s, and the bed promises it: %v", what, probe)
	default:
		t.Skipf("need %s: %v", what, probe)
	}
}

// needPodman skips the test outside of a bed, and for root: the containers are rootless.
func needPodman(t *testing.T) {
	t.Helper()
	if !inBed() {
		t.Skip("need a bed with podman: go test -exec 'integration/bed --user --' ./integration/containers")
	}
	if os.Geteuid() == 0 {
		t.Skip("only for an ordinary user: the containers are rootless")
	}
	_, err := exec.LookPath("podman")
	need(t, "podman", err)
}

// A record is what the tests look at of supervise's.
type record struct {
	Schema      string
	Containment string
	Reason      *string `json:"containment_reason"`
	Cgroup      *string
	Cause       string
	Exit        *struct {
		Code   *int
		Signal *string
	}
	Leftovers []struct {
		Comm string
		Argv []string
	}
	LeftoversTotal *int `json:"leftovers_total"`
	Error          *string
}

func (r *record) reason() string {
	if r.Reason == nil {
		return ""
	}
	return *r.Reason
}

func (r *record) cgroup() string {
	if r.Cgroup == nil {
		return ""
	}
	return *r.Cgroup
}

// A proc is a program that was started, with all it wrote.
type proc struct {
	t      *testing.T
	argv   []string
	cmd    *exec.Cmd
	cancel context.CancelFunc
	lines  chan string // of stdout, closed at its end
	stdout strings.Builder
	stderr bytes.Buffer
}

// start runs a program, which is killed at the deadline.
func start(t *testing.T, argv ...string) *proc {
	t.Helper()
	return startWith(t, nil, argv...)
}

// startWith is start with a standard input, which stays the caller's; nil: /dev/null.
func startWith(t *testing.T, stdin *os.File, argv ...string) *proc {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	p := &proc{t: t, argv: argv, cancel: cancel, lines: make(chan string, 1000)}
	p.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	if stdin != nil {
		p.cmd.Stdin = stdin
	}
	p.cmd.WaitDelay = patience // somebody else may hold its pipes
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatalf("%q: %v", argv, err)
	}
	go func() { // ends with stdout, which WaitDelay closes at the latest
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		p.cmd.Wait()
	})
	return p
}

// next returns the next line of stdout.
func (p *proc) next() (string, bool) {
	line, ok := <-p.lines
	if ok {
		p.stdout.WriteString(line + "\n")
	}
	return line, ok
}

// expect reads up to a line.
func (p *proc) expect(want string) {
	p.t.Helper()
	for {
		line, ok := p.next()
		if !ok {
			p.t.Fatalf("%q ended without the line %q; stdout %q, stderr %q", p.argv, want, p.stdout.String(), p.stderr.String())
		}
		if line == want {
			return
		}
	}
}

// A result is how a program ended.
type result struct {
	t              *testing.T
	argv           []string
	code           int     // -1: by a signal
	stdout, stderr string  // without the record
	record         *record // the line of stdout that is one
}

func (p *proc) wait() *result {
	p.t.Helper()
	for _, ok := p.next(); ok; _, ok = p.next() {
		continue
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%q: %v; stdout %q, stderr %q", p.argv, err, p.stdout.String(), p.stderr.String())
	}
	r := &result{t: p.t, argv: p.argv, code: p.cmd.ProcessState.ExitCode(), stderr: p.stderr.String()}
	for line := range strings.Lines(p.stdout.String()) {
		if !strings.HasPrefix(line, `{"schema":`) {
			r.stdout += line
			continue
		}
		r.record = &record{}
		if err := json.Unmarshal([]byte(line), r.record); err != nil {
			p.t.Fatalf("%v: %s", err, line)
		}
	}
	return r
}

// run is start and wait.
func run(t *testing.T, argv ...string) *result {
	t.Helper()
	return start(t, argv...).wait()
}

func (r *result) wantCode(code int) {
	r.t.Helper()
	if r.code != code {
		r.t.Errorf("%q: status %d, want %d; stdout %q, stderr %q", r.argv, r.code, code, r.stdout, r.stderr)
	}
}

// needRecord returns the record, without which there is nothing more to look at.
func (r *result) needRecord() *record {
	r.t.Helper()
	if r.record == nil {
		r.t.Fatalf("%q: no record; status %d, stdout %q, stderr %q", r.argv, r.code, r.stdout, r.stderr)
	}
	return r.record
}

var markers atomic.Int32

// newMarker returns a number of seconds that nobody else on this machine sleeps for.
func newMarker() string { return fmt.Sprintf("3%07d%02d", os.Getpid(), markers.Add(1)) }

// asleep lists the processes that run `sleep MARKER`, here and in every PID namespace below.
func asleep(marker string) (pids []int) {
	for pid, command := range testbed.Commands() {
		if command == "sleep "+marker+" " {
			pids = append(pids, pid)
		}
	}
	return pids
}

// wantGone waits until nobody sleeps for that long; at once is for what supervise has ended before it said so.
func wantGone(t *testing.T, marker string, atOnce bool) {
	t.Helper()
	limit := patience
	if atOnce {
		limit = 0
	}
	if !eventually(limit, func() bool { return len(asleep(marker)) == 0 }) {
		t.Errorf("still alive: %d", asleep(marker))
	}
}

// eventually polls, for what gives no event.
func eventually(limit time.Duration, done func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); !done(); <-tick.C {
		if time.Since(begun) >= limit {
			return false
		}
	}
	return true
}

// sessions lists the cgroups of supervise's that are anywhere below the mount.
func sessions() (found []string) {
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "jobs-") {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil // what we may not read is not ours
	})
	return found
}

// wantNoSessions fails at the end of a test for those that came up during it. A scope of the engine's goes a moment later
// than the container.
func wantNoSessions(t *testing.T) {
	t.Helper()
	before := sessions()
	t.Cleanup(func() {
		var left []string
		if !eventually(patience, func() bool {
			left = slices.DeleteFunc(sessions(), func(s string) bool { return slices.Contains(before, s) })
			return len(left) == 0
		}) {
			t.Errorf("cgroups left: %q", left)
		}
	})
}
