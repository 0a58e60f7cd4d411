// Package systemd drives the built supervise binary under a real systemd: as an ordinary user in a login session, or as root
// in a service. integration/bed makes such a place; elsewhere the tests are skipped.
//
// It imports nothing of the project. Environment: SUPERVISE_BED is set in a bed, and then a skip is a failure;
// SUPERVISE_TEST_BIN is the directory of the programs.
package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// patience is how long anything may take; beds share a machine with much else.
const patience = 2 * time.Minute

var bin string // directory of the programs

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	return testbed.Run("systemd", func(dir string) int {
		bin = dir
		return m.Run()
	})
}

func program(name string) string { return filepath.Join(bin, name) }

// asUser skips a test that is not run as an ordinary user in a bed, asRoot one that is.
func asUser(t *testing.T) { t.Helper(); needBed(t, os.Geteuid() != 0, "--user") }
func asRoot(t *testing.T) { t.Helper(); needBed(t, os.Geteuid() == 0, "--root") }

func needBed(t *testing.T, right bool, mode string) {
	t.Helper()
	if os.Getenv("SUPERVISE_BED") == "" || !right {
		t.Skipf("for integration/bed %s -- go test ./integration/systemd", mode)
	}
	t.Cleanup(func() { nothingLeft(t) })
}

// manager is systemctl's option for the manager that is asked for a scope here.
func manager() string {
	if os.Geteuid() == 0 {
		return "--system"
	}
	return "--user"
}

// An outcome is how a program ended.
type outcome struct {
	out, err string
	code     int
	took     time.Duration
}

// sleeper is an argument of sleep that nobody else has, so that what is left can be told.
const sleeper = "98765.4321"

// command is a program with a time limit that takes all of its process group along.
func command(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 10 * time.Second
	return c
}

func run(t *testing.T, argv ...string) outcome {
	t.Helper()
	return finish(t, command(t, argv...))
}

func finish(t *testing.T, c *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	start := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", c.Args, err)
	}
	return outcome{out.String(), errs.String(), c.ProcessState.ExitCode(), time.Since(start)}
}

// supervise is the command line of a `supervise run`.
func supervise(flagsAndCommand ...string) []string {
	return append([]string{program("supervise"), "run"}, flagsAndCommand...)
}

// ok wants success and silence on stderr, and returns stdout without the last newline.
func (o outcome) ok(t *testing.T) string {
	t.Helper()
	if o.code != 0 || o.err != "" {
		t.Fatalf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
	}
	return strings.TrimSuffix(o.out, "\n")
}

// whereAmI is a job that prints its cgroup.
var whereAmI = []string{"--", "sed", "-n", "s/^0:://p", "/proc/self/cgroup"}

// inScope is where a job is that got a new scope, below a slice.
func inScope(slice string) *regexp.Regexp {
	return regexp.MustCompile("/" + regexp.QuoteMeta(slice) + `/supervise-[0-9a-f]{8}\.scope/jobs-[0-9a-f]{8}/[^/]+/main$`)
}

func wantCgroup(t *testing.T, got string, want *regexp.Regexp) {
	t.Helper()
	if !want.MatchString(got) {
		t.Errorf("the job was in %q, want %s", got, want)
	}
}

// A record is what the tests read of supervise's.
type record struct {
	Containment *string
	Reason      *string `json:"containment_reason"`
	Cgroup      *string
	Cause       string
	Exit        *struct {
		Code   *int
		Signal *string
	}
}

func readRecord(t *testing.T, file string) (r record) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nothingLeft wants all units, directories and processes of a test gone; systemd takes a moment for its part.
func nothingLeft(t *testing.T) {
	t.Helper()
	testbed.Eventually(t, patience, "units", func() error { return isEmpty(units()) })
	testbed.Eventually(t, patience, "cgroups", func() error { return isEmpty(sessions()) })
	testbed.Eventually(t, patience, "processes", func() error { return isEmpty(sleepers()) })
}

func isEmpty(list []string) error {
	if len(list) > 0 {
		return fmt.Errorf("left: %q", list)
	}
	return nil
}

func units() []string {
	out, err := exec.Command("systemctl", manager(), "list-units", "--all", "--plain", "--no-legend", "supervise-*").CombinedOutput()
	if err != nil {
		return []string{err.Error(), string(out)}
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func sessions() (found []string) {
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "jobs-") {
			found = append(found, path)
		}
		return nil
	})
	return found
}

func sleepers() []string { return testbed.Running(sleeper) }
