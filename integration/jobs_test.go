package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
	"github.com/seed-c1490a04/supervise/protocol"
)

// command runs one of the commands that look at jobs, and act on them.
func (b *box) command(args ...string) outcome {
	b.t.Helper()
	return b.start(launch{argv: append([]string{bin.supervise}, args...)}).wait()
}

// listed are the jobs of the box by name: those of other tests are none of its business.
func (b *box) listed(args ...string) map[string]protocol.ListedJob {
	b.t.Helper()
	o := b.command(append([]string{"list", "--json"}, args...)...)
	o.wantCode(0)
	var l protocol.List
	if err := json.Unmarshal([]byte(o.stdout), &l); err != nil || l.Schema != protocol.ListSchema {
		b.t.Fatalf("%v: %q", err, o.stdout)
	}
	found := map[string]protocol.ListedJob{}
	for _, j := range l.Jobs {
		if strings.HasPrefix(j.Name, b.prefix()) {
			found[strings.TrimPrefix(j.Name, b.prefix())] = j
		}
	}
	return found
}

// prefix begins the names of the box's jobs.
func (b *box) prefix() string { return fmt.Sprintf("%d-%p-", os.Getpid(), b) }

// called is run with a name.
func (b *box) called(name string, c containment, argv ...string) launch {
	return b.run(c, []string{"--name=" + b.prefix() + name}, argv...)
}

// job is the one of that name.
func (b *box) job(name string) protocol.ListedJob {
	b.t.Helper()
	j, ok := b.listed()[name]
	if !ok {
		b.t.Fatalf("no job %s%s is listed: %s", b.prefix(), name, b.command("list").stdout)
	}
	return j
}

// three processes, of which the first prints its pid, and SIGUSR1 of each.
var three = sh(`
	trap 'echo main got it' USR1
	for i in 1 2; do sh -c 'trap "echo other got it" USR1; echo ready '$i'; while :; do sleep 1000 & wait; kill $!; done' & done
	echo main $$; while :; do wait; done`)

// TestSignalJob: a signal reaches the main process, or all of them.
func TestSignalJob(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("a", c, three...))
		p.expect("ready 1")
		p.expect("ready 2")
		p.printedPid("main")
		id := b.job("a").ID
		b.command("signal", "USR1", id).wantCode(0)
		p.expect("main got it")
		b.command("signal", "--all", "SIGUSR1", id).wantCode(0)
		if !p.stdout.waitUntil(func(text string) bool {
			return strings.Count(text, "main got it") == 2 && strings.Count(text, "other got it") == 2
		}) {
			t.Errorf("%q", p.stdout)
		}
		b.command("signal", "KILL", id).wantCode(0)
		p.wait().wantRecord(c, "signaled")
		o := b.command("signal", "USR1", id)
		o.wantCode(125)
		o.wantOneLine("supervise: signal: no job ")
	})
}

// TestSignalEnded: the main process has ended, and what is left can be reached by --all alone.
func TestSignalEnded(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, []string{"--leftovers=wait", "--name=" + b.prefix() + "a"}, sh(`
			(trap 'echo got it; exit' TERM; echo ready; while :; do sleep 0.01; done) & echo main $$; read x; exit 3`)...)
		p := b.start(l)
		p.expect("ready")
		main := p.printedPid("main")
		p.closeStdin()
		eventually(t, "the end of the main process", func() error {
			if unix.Kill(main, 0) == nil {
				return fmt.Errorf("%d lives", main)
			}
			return nil
		})
		id := b.job("a").ID
		if c == inCgroup { // by descent nobody knows which it was
			o := b.command("signal", "TERM", id)
			o.wantCode(125)
			o.wantOneLine("supervise: signal: job " + id + ": its main process: it has ended")
		}
		b.command("signal", "--all", "TERM", id).wantCode(0)
		p.expect("got it")
		p.wait().wantCode(3)
	})
}

// TestKillJob: when kill returns nothing of the job is left, whatever it does; its supervise tells of it as of any end.
func TestKillJob(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, mode := range []string{"daemon", "busy", "headless", "setsid"} {
			t.Run(mode, func(t *testing.T) {
				b := newBox(t)
				p := b.start(b.called("a", c, adversary(mode)...))
				p.expect("ready")
				b.command("kill", b.job("a").ID).wantCode(0)
				wantNone(t, "adversary")
				o := p.wait()
				o.wantCode(137)
				o.wantRecord(c, "signaled")
			})
		}
	})
}

// TestKillJobGrace: SIGTERM first, and a time to obey it.
func TestKillJobGrace(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		polite := b.start(b.called("polite", c, sh(`trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done`)...))
		deaf := b.start(b.called("deaf", c, sh(`trap '' TERM; echo ready; while :; do sleep 0.01; done`)...))
		polite.expect("ready")
		deaf.expect("ready")
		b.command("kill", "--grace", "1m", b.job("polite").ID).wantCode(0)
		polite.wait().wantCode(5)
		b.command("kill", "--grace", "100ms", b.job("deaf").ID).wantCode(0)
		deaf.wait().wantCode(137)
	})
}

// TestFreezeJob: frozen, it does nothing and can be killed; what is held by descent cannot be frozen, and is told so.
func TestFreezeJob(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("a", c, sh(`trap 'echo got it' USR1; echo ready; while :; do sleep 0.01; done`)...))
		p.expect("ready")
		id := b.job("a").ID
		if c == inSubreaper {
			for _, args := range [][]string{{"freeze", id}, {"thaw", id}, {"limit", id, "--pids-max", "9"}} {
				o := b.command(args...)
				o.wantCode(125)
				o.wantOneLine("supervise: " + args[0] + ": job " + id + ": it is held by descent, without a cgroup")
			}
			b.command("kill", id).wantCode(0)
			p.wait()
			return
		}
		b.command("freeze", id).wantCode(0)
		if s := b.job("a").State; s != protocol.ListedFrozen {
			t.Errorf("it is %s", s)
		}
		b.command("signal", "USR1", id).wantCode(0)
		if strings.Contains(p.stdout.String(), "got it") {
			t.Error("a frozen job works")
		}
		b.command("thaw", id).wantCode(0)
		p.expect("got it")
		b.command("freeze", id).wantCode(0)
		b.command("kill", id).wantCode(0)
		p.wait().wantCode(137)
	})
}

// TestJobsMisused: one clear line.
func TestJobsMisused(t *testing.T) {
	b := newBox(t)
	for line, code := range map[string]int{
		"list me": 2, "list --jsn": 2, "stat": 2, "stat a b": 2, "kill": 2, "kill --grace x a": 2, "signal TERM": 2, "limit a": 2,
		"limit a --memory-max lots": 2, "freeze": 2, "kill no-such-job": 125, "signal NONE no-such-job": 125, "stat no-such-job": 125,
	} {
		args := strings.Fields(line)
		o := b.command(args...)
		o.wantCode(code)
		o.wantOneLine("supervise: " + args[0] + ": ")
	}
}

// TestMetrics: the numbers of a job are in the file as soon as it is there, whole, in both formats.
func TestMetrics(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		p := b.start(b.called("a", c, sh("echo ready; read x")...))
		p.expect("ready")
		id := b.job("a").ID
		file := filepath.Join(b.dir, "jobs.prom")
		if o := b.command("metrics", "-o", file); o.code != 0 || o.stdout != "" {
			t.Errorf("status %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("supervise_job_processes{job_id=%q,", id)) {
			t.Errorf("%v: %s", err, text)
		}
		open := b.command("metrics", "--openmetrics")
		open.wantCode(0)
		parse := exec.Command("/usr/bin/python3", "-c", `import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print([int(s.value) for f in text_string_to_metric_families(sys.stdin.read()) if f.name == "supervise_job_processes" for s in f.samples if s.labels["job_id"] == sys.argv[1]])`, id)
		testbed.Need(t, "Python's parser of OpenMetrics", exec.Command("/usr/bin/python3", "-c", "import prometheus_client").Run())
		parse.Stdin = strings.NewReader(open.stdout)
		if out, err := parse.CombinedOutput(); err != nil || string(out) != "[1]\n" {
			t.Errorf("%v: %s of %s", err, out, open.stdout)
		}
		b.command("metrics", "-o", filepath.Join(b.dir, "no/such/dir")).wantOneLine("supervise: metrics: ")
		p.closeStdin()
		p.wait()
		if files, _ := os.ReadDir(b.dir); slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(f.Name(), ".") }) {
			t.Errorf("left: %v", files)
		}
	})
}
