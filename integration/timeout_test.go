package integration

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// timeLimit runs out in these tests, and only then may anything end. Long before, everybody has to have started and set its
// traps, on a machine that does much else.
var timeLimit = map[bool]time.Duration{false: 4 * time.Second, true: 12 * time.Second}[os.Getenv("SUPERVISE_BED") == "vm"]

// A timeout is a job whose time is up, and what comes of it.
type timeout struct {
	name   string
	flags  []string
	argv   []string
	signal string // that ended the main process; "": it ended with a status
	stdout string
	exit   int         // status of the main process; 0: 3
	only   containment // "": both
}

const (
	// The shell has its background child ignore INT.
	polite = `trap 'echo asked; kill $!; exit 3' %s; echo ready; sleep 1000 & wait`
	// The signal at the timeout goes to the whole job, not only to the main process.
	politeChild = `sh -c "trap 'echo child asked; exit' TERM; while :; do sleep 1000 & wait \$!; done" &
trap 'wait; echo main asked; exit 3' TERM; wait`
	// A main process that has left the job's cgroup, as that of `podman run` does.
	moved = `trap "$1" TERM; echo 0 >"$ELSEWHERE/cgroup.procs" && echo ready; while :; do sleep 0.01; done`
)

var timeouts = []timeout{
	{name: "killed by TERM", argv: []string{"sleep", "1000"}, signal: "SIGTERM"},
	{name: "polite", flags: []string{"--grace=50s"}, argv: sh(fmt.Sprintf(polite, "TERM")), stdout: "ready\nasked\n"},
	{name: "other signal", flags: []string{"--grace=50s", "--signal=INT"}, argv: sh(fmt.Sprintf(polite, "INT")), stdout: "ready\nasked\n"},
	{name: "other signal by its long name", flags: []string{"--grace=50s", "--signal=SIGUSR1"}, argv: sh(fmt.Sprintf(polite, "USR1")),
		stdout: "ready\nasked\n"},
	{name: "asks all", flags: []string{"--grace=50s"}, argv: sh(politeChild), stdout: "child asked\nmain asked\n"},
	{name: "stubborn", flags: []string{"--grace=200ms"}, argv: mode("stubborn"), signal: "SIGKILL", stdout: "\nready\n"},
	{name: "stopped", flags: []string{"--grace=50s"}, argv: sh("kill -STOP $$"), signal: "SIGTERM"},
	{name: "frozen", flags: []string{"--grace=200ms"}, argv: mode("freeze-self"), signal: "SIGKILL", stdout: "ready\n", only: inCgroup},
	{name: "KILL at once", flags: []string{"--grace=50s", "--signal=KILL"}, argv: mode("stubborn"), signal: "SIGKILL", stdout: "\nready\n"},
	{name: "elsewhere, asked", flags: []string{"--grace=50s"}, argv: sh(moved, "sh", "exit 3"), stdout: "ready\n", only: inCgroup},
	{name: "elsewhere, killed", flags: []string{"--grace=200ms"}, argv: sh(moved, "sh", ""), signal: "SIGKILL", stdout: "ready\n", only: inCgroup},
	{name: "elsewhere, not asked", flags: []string{"--grace=0"}, argv: sh(moved, "sh", "exit 3"), signal: "SIGKILL", stdout: "ready\n", only: inCgroup},
	// A timeout bounds the waiting for leftovers too, which are the job's work then.
	{name: "leftovers", flags: []string{"--leftovers=wait"}, argv: sh("sleep 1000 & exit 7"), exit: 7},
}

// mode is the adversary in one of its modes; where the program is, is not known yet.
func mode(name string) []string { return []string{"adversary", name} }

// TestTimeout has the time run out for all at once.
func TestTimeout(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		var env []string
		if c == inCgroup {
			env = []string{strings.Replace(elsewhere(b)[0], "-cgroup", "ELSEWHERE", 1)}
		}
		procs := map[string]*proc{}
		for _, tt := range timeouts {
			if tt.only == "" || tt.only == c {
				flags := []string{"--timeout", timeLimit.String(), "--systemd-timeout=1m"} // a manager has much to do at once
				l := b.run(c, append(flags, tt.flags...), tt.argv...)
				if i := slices.Index(l.argv, "adversary"); i > 0 {
					l.argv[i] = bin.adversary
				}
				l.env = env
				procs[tt.name] = b.start(l)
			}
		}
		outcomes := map[string]outcome{}
		for name, p := range procs {
			outcomes[name] = p.wait()
		}
		for _, tt := range timeouts {
			if o, ok := outcomes[tt.name]; ok {
				t.Run(tt.name, func(t *testing.T) {
					o.t = t
					tt.check(o, c)
				})
			}
		}
	})
}

func (tt timeout) check(o outcome, c containment) {
	o.t.Helper()
	o.wantCode(124)
	if o.stdout != tt.stdout || strings.Contains(o.stderr, "supervise: ") { // shells say what they think of it
		o.t.Errorf("stdout %q, want %q; stderr %q", o.stdout, tt.stdout, o.stderr)
	}
	r := o.wantRecord(c, "timeout")
	if tt.signal != "" {
		r.wantSignal(o.t, tt.signal)
	} else {
		r.wantExit(o.t, cmp.Or(tt.exit, 3))
	}
	// A process that dies is not waited for until supervise would give up, after 10 s. How long supervise took to start the job
	// is another matter: a dozen start at once.
	if wall := r.WallS; wall == nil || *wall < timeLimit.Seconds() || *wall > timeLimit.Seconds()+9 {
		o.t.Errorf("took %v, the job %s s", o.took, orNull(wall))
	}
}

// TestTimeoutNotReached: a timeout that is not reached is not seen; the box has less patience.
func TestTimeoutNotReached(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		o := b.start(b.run(c, []string{"--timeout=1h"}, "true")).wait()
		o.wantCode(0)
		o.wantRecord(c, "exited")
	})
}
