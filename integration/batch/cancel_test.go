package batch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sleeper  = `echo $SLURM_JOB_ID $SLURM_JOB_NODELIST >ready; exec sleep SLEEP`
	stubborn = `trap '' TERM; `
)

// A step is one that runs, on one node or on several.
type step struct {
	*site
	srun *exec.Cmd
	errs bytes.Buffer
}

// expect makes the pipe on which jobs say that they are ready.
func (s *site) expect() *os.File {
	s.t.Helper()
	name := filepath.Join(s.dir, "ready")
	err := unix.Mkfifo(name, 0o600)
	if err == nil {
		err = os.Chmod(name, 0o666)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	f.SetReadDeadline(time.Now().Add(patience))
	return f
}

// await waits until n processes of the job are ready.
func (s *site) await(f *os.File, n int) {
	s.t.Helper()
	for range n {
		if _, err := fmt.Fscanln(f, &s.job, &s.nodes); err != nil {
			s.t.Fatalf("waiting for the job: %v", err)
		}
	}
}

// start starts a step on two nodes, and waits until it runs on both. The records are called by the nodes' numbers.
func (s *site) start(script string) *step {
	s.t.Helper()
	ready := s.expect()
	line := `exec "$0" run --record $SLURM_NODEID -- sh -c "$1"`
	p := &step{site: s}
	p.srun = s.command(srun([]string{"-N2"}, []string{"sh", "-c", line, filepath.Join(bin, "supervise"), s.script(script)})...)
	p.srun.Stderr = &p.errs
	if err := p.srun.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if p.srun.ProcessState == nil {
			p.srun.Process.Kill()
			p.srun.Wait()
		}
		if s.t.Failed() {
			s.t.Logf("srun said %q", &p.errs)
		}
	})
	s.await(ready, 2)
	return p
}

func (s *site) cancel() { s.t.Helper(); s.run("scancel", s.job).ok(s.t) }

// TestCancel: scancel ends everything of a step, on both nodes, and the job is completed. SIGTERM reaches a job that heeds it, and
// the supervisor that holds it.
func TestCancel(t *testing.T) {
	needSlurm(t)
	tests := []struct {
		name, script string
		record       bool
	}{
		{"plain", sleeper, true},
		{"daemon", daemon + sleeper, true},
		{"stubborn", stubborn + daemon + sleeper, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				p := s.start(tt.script)
				s.cancel()
				p.srun.Wait()
				s.gone()
				for _, node := range []string{"0", "1"} {
					if !tt.record {
						break
					}
					if r := s.record(node); r.signal() != "SIGTERM" {
						s.t.Errorf("on node %s the job ended by %s, cause %s", node, r.signal(), r.Cause)
					}
				}
			})
		})
	}
}

// TestSrunKilled: Slurm ends the job of an srun that was killed.
func TestSrunKilled(t *testing.T) {
	needSlurm(t)
	for name, script := range map[string]string{"daemon": daemon + sleeper, "stubborn": stubborn + daemon + sleeper} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				p := s.start(script)
				p.srun.Process.Kill()
				p.srun.Wait()
				s.gone()
			})
		})
	}
}

// TestBatch: supervise in a batch script. Where Slurm goes by a job's processes and their parents, it loses a supervisor whose job
// ignores SIGTERM once the script's shell has died of that: hence exec, srun, or --owner parent.
func TestBatch(t *testing.T) {
	needSlurm(t)
	tests := []struct{ name, prefix, flags, script string }{
		{"plain", "", "", daemon + sleeper},
		{"stubborn, exec", "exec", "", stubborn + daemon + sleeper},
		{"stubborn, srun", "srun", "", stubborn + daemon + sleeper},
		{"stubborn, owner parent", "", "--owner parent", stubborn + daemon + sleeper},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				ready := s.expect()
				line := fmt.Sprintf("%s %s %s -- sh -c '%s'", tt.prefix, strings.Join(supervise(), " "), tt.flags, quote(s.script(tt.script)))
				s.run("sbatch", "--quiet", "--output=out", "--wrap", line).ok(s.t)
				s.await(ready, 1)
				s.cancel()
				s.gone()
				if s.t.Failed() {
					out, _ := os.ReadFile(filepath.Join(s.dir, "out"))
					s.t.Logf("the job said %q", out)
				}
			})
		})
	}
}

// quote makes a text fit to stand between single quotes of the shell.
func quote(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }
