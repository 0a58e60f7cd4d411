package integration

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A report is what the user of a tool of this kind has met with in public, as the smallest job that shows it.
type report struct {
	name   string   // the tracker and the number
	what   string   // the symptom there
	before []string // the words that come before supervise
	flags  []string
	argv   []string
	term   bool // send supervise SIGTERM when the job has printed the line ready
	code   int
	stdout string
	stderr string // begins with it
}

var reports = []report{
	{name: "Yelp/dumb-init#83", what: "nginx ends well by QUIT, and `docker stop` sends TERM", flags: []string{"--grace=50s", "--signal=QUIT"},
		argv: sh(`trap 'echo quit; exit 3' QUIT; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.01; done`),
		term: true, code: 3, stdout: "ready\nquit\n"},
	{name: "Yelp/dumb-init#80", what: "a service that restarts by fork, exit and exec is taken to have ended", flags: []string{"--leftovers=wait"},
		argv: sh(`(setsid sh -c 'sleep 0.1; exec echo second' &); exit 4`), code: 4, stdout: "second\n"},
	{name: "Yelp/dumb-init#81", what: "the error names a flag, not the program that is not there", argv: []string{"supervise-no-such-program", "--flag"},
		code: 127, stderr: "supervise: supervise-no-such-program: "},
	{name: "actions/runner#2684", what: "SIGPIPE is ignored, so that a writer without a reader never ends",
		before: sh(`trap '' PIPE; exec "$@"`, "sh"), argv: append([]string{"env", "--default-signal=PIPE"}, sh("yes | head -n 1")...), stdout: "y\n"},
	{name: "actions/runner#75", what: "a step that kills its parent has no log, and no result",
		argv: sh("echo before; kill -TERM $PPID; read never"), code: 128 + 15, stdout: "before\n"},
	{name: "actions/runner#3587", what: "a step is not seen to have ended, as what it left holds its output",
		argv: sh("setsid sleep 1000 & echo done; exit 5"), code: 5, stdout: "done\n"},
	{name: "gitlabhq/gitlab-ci#211", what: "a build that is stopped runs on",
		argv: sh(`trap 'exit 6' TERM; (trap '' TERM; setsid sleep 1000) & echo ready; while :; do sleep 0.01; done`),
		term: true, code: 6, stdout: "ready\n"},
}

// TestReports: what users of other tools report does not happen here.
func TestReports(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, r := range reports {
			t.Run(r.name, func(t *testing.T) {
				t.Log(r.what)
				b := newBox(t)
				l := b.run(c, r.flags, r.argv...)
				l.argv = append(slices.Clone(r.before), l.argv...)
				p := b.start(l)
				if r.term {
					p.expect("ready")
					p.signal(syscall.SIGTERM)
				}
				o := p.wait()
				o.wantCode(r.code)
				if o.stdout != r.stdout || r.stderr != "" && !strings.HasPrefix(o.stderr, r.stderr) {
					t.Errorf("stdout %q, want %q; stderr %q", o.stdout, r.stdout, o.stderr)
				}
			})
		}
	})
}

// TestSameCgroupAgain: of a cgroup that jobs were run in nothing is spent, and it can be entered (ioi/isolate#158, where the
// processor time of the first run counted in the second; sosy-lab/benchexec#1046, where a cgroup could be used once).
func TestSameCgroupAgain(t *testing.T) {
	needCgroup(t)
	b := newBox(t)
	root, err := makeGroup(b.group.file("again"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.destroy() })
	used := make([]float64, 2)
	for i, turns := range []int{200000, 0} {
		script := "i=0; while [ $i -lt " + strconv.Itoa(turns) + " ]; do i=$((i+1)); done"
		o := b.start(b.supervise([]string{"--cgroup", root.path}, sh(script)...)).wait()
		o.wantCode(0)
		cpu := o.wantRecord(inCgroup, "exited").CPU
		used[i] = *cpu.UserS + *cpu.SystemS
	}
	if used[1] > used[0]/2 {
		t.Errorf("the first job used %.3f s of processor time, an empty one after it %.3f s", used[0], used[1])
	}
	if out, err := exec.Command("sh", "-c", "echo $$ >"+root.file("cgroup.procs")).CombinedOutput(); err != nil {
		t.Errorf("entering the cgroup: %v, %s", err, out)
	}
}
