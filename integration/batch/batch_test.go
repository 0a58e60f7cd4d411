// Package batch drives the built supervise binary in jobs of Slurm, which root and an ordinary user submit. integration/slurm makes
// the cluster; elsewhere the tests are skipped.
//
// It imports nothing of the project but testbed. Environment: SUPERVISE_SLURM is set beside a cluster, to how Slurm tracks the
// processes of a job (linuxproc, pgid, cgroup), and then everything must be there; SUPERVISE_TEST_BIN is the directory of the
// programs.
package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long anything may take: the guest may be forty times slower than the machine.
const patience = 4 * time.Minute

var bin string // directory of the programs

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	return testbed.Run("batch", func(dir string) int {
		bin = dir
		return m.Run()
	})
}

// needSlurm skips a test where there is no cluster, or one that does not track processes in one of these ways. Others run beside
// one another: they wait most of the time.
func needSlurm(t *testing.T, tracks ...string) {
	t.Helper()
	switch got := os.Getenv("SUPERVISE_SLURM"); {
	case got == "":
		t.Skip("for integration/slurm -- go test ./integration/batch")
	case len(tracks) > 0 && !slices.Contains(tracks, got):
		t.Skipf("for integration/slurm --proctrack %s", strings.Join(tracks, " or "))
	}
	t.Parallel()
}

// A site is what one test has: a user, a directory that the user may write, and an argument of sleep that nobody else has, by
// which all processes of the test's jobs are known.
type site struct {
	t    *testing.T
	user *user.User
	dir  string
	tag  string
	// The test's job, once it runs: its number, and where it is.
	job, nodes string
}

var sites atomic.Int64

// forEachUser runs a test once for root and once for an ordinary user, both of them beside others.
func forEachUser(t *testing.T, test func(s *site)) {
	for _, name := range []string{"root", "tester"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newSite(t, name))
		})
	}
}

func newSite(t *testing.T, name string) *site {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "supervise-batch-")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, user: u, dir: dir, tag: fmt.Sprintf("98765.%d%04d", os.Getpid(), sites.Add(1))}
	t.Cleanup(s.close)
	uid, _ := strconv.Atoi(u.Uid)
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
	return s
}

// close fails the test for what it has left, and gives the next one nodes that are in order.
func (s *site) close() {
	for _, p := range s.kill() {
		s.t.Errorf("left: %s", p)
	}
	if s.job != "" && s.t.Failed() {
		exec.Command("scancel", s.job).Run()
		exec.Command("scontrol", "update", "NodeName="+s.nodes, "State=RESUME").Run()
	}
	os.RemoveAll(s.dir)
}

// processes lists those of the test's jobs, and the supervisors that hold them.
func (s *site) processes() []string { return testbed.Running(s.tag) }

// kill kills all processes of the test's jobs, and lists them.
func (s *site) kill() []string {
	found := s.processes()
	for _, p := range found {
		pid, _, _ := strings.Cut(p, " ")
		if n, err := strconv.Atoi(pid); err == nil {
			unix.Kill(n, unix.SIGKILL)
		}
	}
	return found
}

// nothingLeft wants no process of the test's jobs, now.
func (s *site) nothingLeft() {
	s.t.Helper()
	if left := s.processes(); len(left) > 0 {
		s.t.Errorf("left: %q", left)
	}
}

// gone wants all processes of the test's job to end, the job to be completed, and its nodes in order. Slurm does its part after
// the command that asks it for something has returned.
func (s *site) gone() {
	s.t.Helper()
	testbed.Eventually(s.t, patience, "processes", func() error { return isEmpty(s.processes()) })
	testbed.Eventually(s.t, patience, "the queue", func() error { return isEmpty(lines(s.run("squeue", "-h", "-j", s.job).out)) })
	// Where a step does not end, Slurm takes the node out of use.
	if out := s.run("sinfo", "-h", "-n", s.nodes, "-t", "drain,down,fail", "-o", "%N").out; out != "" {
		s.t.Errorf("out of order: %s", out)
	}
}

func isEmpty(list []string) error {
	if len(list) > 0 {
		return fmt.Errorf("left: %q", list)
	}
	return nil
}

func lines(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' }) }

// script is one of the job's, in which SLEEP is the argument of sleep.
func (s *site) script(text string) string { return strings.ReplaceAll(text, "SLEEP", s.tag) }

// command is a program of the user's, with a time limit.
func (s *site) command(argv ...string) *exec.Cmd {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir = s.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.user.HomeDir, "USER=" + s.user.Username, "SLURM_CONF=" + os.Getenv("SLURM_CONF")}
	uid, _ := strconv.ParseUint(s.user.Uid, 10, 32)
	gid, _ := strconv.ParseUint(s.user.Gid, 10, 32)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	c.WaitDelay = 10 * time.Second
	return c
}

// An outcome is how a program ended.
type outcome struct {
	out, err string
	code     int
}

func (s *site) run(argv ...string) outcome {
	s.t.Helper()
	var out, errs bytes.Buffer
	c := s.command(argv...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%q: %v, stdout %q, stderr %q", argv, err, &out, &errs)
	}
	return outcome{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// ok wants success and silence on stderr, and returns stdout without the last newline.
func (o outcome) ok(t *testing.T) string {
	t.Helper()
	if o.code != 0 || o.err != "" {
		t.Fatalf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
	}
	return strings.TrimSuffix(o.out, "\n")
}

// supervise is the command line of a `supervise run`.
func supervise(flagsAndCommand ...string) []string {
	return append([]string{filepath.Join(bin, "supervise"), "run"}, flagsAndCommand...)
}

// srun is the command line of a step, whose command is the second of two lists of words.
func srun(flags []string, argv []string) []string {
	return append(append([]string{"srun", "--quiet"}, flags...), argv...)
}

// A record is what the tests read of supervise's.
type record struct {
	Containment string
	Reason      *string `json:"containment_reason"`
	Cause       string
	Leftovers   int `json:"leftovers_total"`
	OOM         *struct{ By, Cgroup string }
	Exit        struct {
		Code   *int
		Signal *string
	}
}

func (s *site) record(name string) (r record) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		s.t.Error(err)
	}
	return r
}

func (r record) signal() string {
	if r.Exit.Signal == nil {
		return "none"
	}
	return *r.Exit.Signal
}
