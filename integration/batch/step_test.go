package batch

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// daemon is a script that starts a daemon and goes on when it is one: in a session of its own, without the script's streams.
const daemon = `up=$( (setsid sh -c 'echo up; exec sleep SLEEP </dev/null >/dev/null 2>&1' &) ); `

// TestStep: srun returns when the main process has ended, though a daemon holds its standard output, which srun alone would wait
// for; and then there is no daemon.
func TestStep(t *testing.T) {
	needSlurm(t)
	for _, flags := range [][]string{nil, {"--contain=subreaper"}} {
		t.Run(strings.Join(flags, ""), func(t *testing.T) {
			t.Parallel()
			forEachUser(t, func(s *site) {
				argv := append(flags[:len(flags):len(flags)], "--", "sh", "-c", s.script("(setsid sleep SLEEP &); "+daemon+"echo out"))
				o := s.run(srun(nil, supervise(argv...))...)
				s.nothingLeft()
				if o.code != 0 || o.out != "out\n" {
					t.Errorf("status %d, stdout %q, stderr %q", o.code, o.out, o.err)
				}
			})
		})
	}
}

// TestBareStep: what Slurm itself leaves of the same job where it tracks processes without cgroups.
func TestBareStep(t *testing.T) {
	needSlurm(t, "linuxproc", "pgid")
	forEachUser(t, func(s *site) {
		s.run(srun(nil, []string{"sh", "-c", s.script(daemon + "echo $SLURM_JOB_ID")})...).ok(s.t)
		if left := s.kill(); len(left) != 1 {
			s.t.Errorf("left: %q; is supervise needed there?", left)
		}
		testbed.Eventually(s.t, patience, "processes", func() error { return isEmpty(s.processes()) })
	})
}

// TestStatus: srun has the status of the job.
func TestStatus(t *testing.T) {
	needSlurm(t)
	forEachUser(t, func(s *site) {
		if o := s.run(srun(nil, supervise("--", "sh", "-c", "exit 3"))...); o.code != 3 {
			s.t.Errorf("status %d, stderr %q", o.code, o.err)
		}
	})
}
