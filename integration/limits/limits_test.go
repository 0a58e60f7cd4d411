// Package limits drives the built supervise binary where all controllers are: in integration/vm, as root. Each test gives it a
// job of known work, and looks at the record; elsewhere they are skipped.
//
// It imports nothing of the project but protocol and its client. Environment: SUPERVISE_BED is `vm` in the guest, and then a skip is a failure;
// SUPERVISE_TEST_BIN is the directory of the programs.
package limits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take: the guest may be forty times slower than the machine.
const patience = 4 * time.Minute

const mib = 1 << 20

// A record is what the tests read of supervise's.
type record struct {
	Cause string
	WallS float64 `json:"wall_s"`
	Exit  *struct {
		Code   *int
		Signal *string
	}
	CPU struct {
		UserS            *float64 `json:"user_s"`
		TotalS           *float64 `json:"total_s"`
		ThrottledPeriods *uint64  `json:"throttled_periods"`
		ThrottledS       *float64 `json:"throttled_s"`
	}
	Memory struct {
		PeakBytes     *uint64 `json:"peak_bytes"`
		SwapPeakBytes *uint64 `json:"swap_peak_bytes"`
		Events        *struct {
			Max     *uint64
			OOM     *uint64
			OOMKill *uint64 `json:"oom_kill"`
		}
		AtPeak *struct {
			AnonBytes *uint64 `json:"anon_bytes"`
		} `json:"at_peak"`
		SampledMax *struct {
			AnonBytes  *uint64 `json:"anon_bytes"`
			ShmemBytes *uint64 `json:"shmem_bytes"`
		} `json:"sampled_max"`
	}
	IO struct {
		WriteBytes *uint64 `json:"write_bytes"`
		Devices    []struct {
			Device     string
			WriteBytes uint64 `json:"write_bytes"`
		}
	}
	Pids struct {
		Peak    *uint64
		MaxHits *uint64 `json:"max_hits"`
	}
	OOMKilled *bool `json:"oom_killed"`
	OOM       *struct {
		By     string
		Cgroup *string
		Kills  *uint64
	}
	Phases []struct {
		Name string
		CPU  struct {
			TotalS *float64 `json:"total_s"`
		}
	}
	Unenforced []struct{ Name, Reason string }
}

// An outcome is how a supervise ended.
type outcome struct {
	record
	out, err string
	code     int
}

// need skips a test outside of the guest.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("SUPERVISE_BED") != "vm" || os.Geteuid() != 0 {
		t.Skip("for integration/vm exec --root -- go test ./integration/limits")
	}
}

// run is `supervise run` with flags, then --, then a command.
func run(t *testing.T, args ...string) (o outcome) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "record")
	c := supervise(t, append([]string{"run", "--record", file}, args...)...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o.out, o.err, o.code = out.String(), errs.String(), c.ProcessState.ExitCode()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &o.record)
	}
	if err != nil {
		t.Fatalf("%v; status %d, stderr %q", err, o.code, o.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the record: %s", b)
		}
	})
	return o
}

func supervise(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, filepath.Join(os.Getenv("SUPERVISE_TEST_BIN"), "supervise"), args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	return c
}

// within wants a number no more than some percents off.
func within(t *testing.T, what string, got *float64, want, percent float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is null, want %v", what, want)
	} else if off := (*got/want - 1) * 100; off > percent || off < -percent {
		t.Errorf("%s is %v, want %v: %.1f%% off", what, *got, want, off)
	}
}

func float(n *uint64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

func isCount(t *testing.T, what string, got *uint64, want uint64) {
	t.Helper()
	if got == nil || *got != want {
		t.Errorf("%s is %v, want %d", what, got, want)
	}
}

// sh is a shell script as a command.
func sh(script string) []string { return []string{"--", "sh", "-c", script} }

// work is this program in one of its modes (work_test.go).
func work(t *testing.T, words ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--", "env", workEnv + "=" + strings.Join(words, " "), exe}
}
