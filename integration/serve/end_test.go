package serve

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// daemons is a tree that wants to live on: sessions of their own, orphans, deaf to signals, and stopped.
const daemons = `
(setsid sleep 1000 &)
(setsid sh -c 'trap "" TERM INT HUP; (sleep 1000 &); while :; do sleep 1; done' &)
(setsid sh -c 'kill -STOP $$' &)
trap "" HUP TERM INT
echo ready
while :; do sleep 1; done`

var captured = object{"stdio": []any{"null", "capture"}}

// forest starts some of these, and waits until they are there.
func (s *server) forest() (jobs []*job) {
	s.t.Helper()
	for range 3 {
		jobs = append(jobs, s.shell(captured, daemons))
	}
	for _, j := range jobs {
		j.told("output")
	}
	return jobs
}

// An ending is a way for a server to come to its end, and what it says then.
type ending struct {
	name  string
	end   func(s *server)
	cause string // of the jobs; "": nobody hears of it
	code  int
}

var endings = []ending{
	{"end of input", (*server).closeInput, "owner-gone", 0},
	{"hang-up", (*server).hangUp, "", -2},
	{"SIGTERM", func(s *server) { s.cmd.Process.Signal(syscall.SIGTERM) }, "killed", 0},
	{"SIGINT", func(s *server) { s.cmd.Process.Signal(syscall.SIGINT) }, "killed", 0},
	{"SIGHUP", func(s *server) { s.cmd.Process.Signal(syscall.SIGHUP) }, "killed", 0},
	{"SIGKILL", func(s *server) { s.cmd.Process.Kill() }, "", -1},
	{"SIGSEGV", func(s *server) { s.cmd.Process.Signal(syscall.SIGSEGV) }, "", -2},
	{"shutdown", func(s *server) { s.send("shutdown", nil) }, "killed", 0},
	{"shutdown with grace", func(s *server) { s.send("shutdown", object{"grace": 0.1}) }, "killed", 0},
	{"kill", func(s *server) {
		for i := range 3 {
			s.send("kill", object{"job": i + 1})
		}
		s.send("shutdown", nil)
	}, "killed", 0},
}

// TestEnds: whatever ends the server, nothing is left. The box sees to that.
func TestEnds(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, e := range endings {
			for _, via := range []transport{pipes, socket} {
				t.Run(e.name+" over "+string(via), func(t *testing.T) { e.test(newBox(t).serve(c, via)) })
			}
		}
	})
}

func (e *ending) test(s *server) {
	t := s.t
	s.hello()
	jobs := s.forest()
	e.end(s)
	if e.cause != "" {
		for _, j := range jobs {
			j.told("exited")
			j.ended(e.cause)
		}
	}
	if code := s.wait(); code != e.code && e.code != -2 {
		t.Errorf("status %d, want %d", code, e.code)
	}
}

// TestCrowdEnds: of many that end at once, each has the record of its own.
func TestCrowdEnds(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		var jobs []*job
		for i := range 30 {
			name := fmt.Sprint("job-", i)
			jobs = append(jobs, s.spawn(object{"name": name}, "sleep", "1000"))
		}
		s.send("shutdown", nil)
		for i, j := range jobs {
			j.told("exited")
			r := j.ended("killed")
			if r["name"] != fmt.Sprint("job-", i) || int(r["pid"].(float64)) != j.pid {
				t.Errorf("the record of job %d: %s", i, text(r))
			}
			if used, _ := r["cpu"].(object)["total_s"].(float64); c == inCgroup && used == 0 {
				t.Errorf("job %d has used nothing: %s", i, text(r))
			}
		}
		if code := s.wait(); code != 0 {
			t.Errorf("status %d", code)
		}
	})
}

// TestWhyNoCgroup: a refusal names the option by which there is none.
func TestWhyNoCgroup(t *testing.T) {
	s := newBox(t).serve(inSubreaper, socket)
	s.hello()
	for field, value := range map[string]any{"limits": object{"pids-max": 9}, "notify": []string{"oom"}, "sample": 1} {
		e := s.refused(-32008, "spawn", object{"argv": []string{"true"}, field: value})
		if why, _ := e["message"].(string); !strings.HasSuffix(why, " a cgroup: --contain=subreaper") {
			t.Errorf("%s: %q", field, why)
		}
	}
	s.end()
}

// TestSampleWithoutCgroup: a server that has found no cgroup runs the job without samples, and says so.
func TestSampleWithoutCgroup(t *testing.T) {
	argv := withoutCgroups(t, "exec "+quote(supervise, "serve", "--slice=x.slice"))
	s := newBox(t).start(exec.Command(argv[0], argv[1:]...), socket)
	s.hello()
	j := s.spawn(object{"sample": 1}, "true")
	list := j.ended("exited")["unenforced"].([]any)
	if len(list) == 0 || list[0].(object)["name"] != "sample" {
		t.Errorf("unenforced %v", list)
	}
	s.end()
}

// TestNestedKilled: without cgroups, the end of a supervisor below the server is the end of its job, and of no other.
func TestNestedKilled(t *testing.T) {
	s := newBox(t).serve(inSubreaper, socket)
	s.hello()
	jobs := s.forest()
	nested := parent(jobs[1].pid)
	if comm(nested) != "supervise" {
		t.Fatalf("above the job is %q", comm(nested))
	}
	s.must(syscall.Kill(nested, syscall.SIGKILL))
	r := jobs[1].told("ended")["record"].(object)
	if why, _ := r["error"].(string); !strings.Contains(why, "killed") {
		t.Errorf("record: %s", text(r))
	}
	if alive(jobs[1].pid) {
		t.Error("the job lives")
	}
	for _, j := range []*job{jobs[0], jobs[2]} {
		if !alive(j.pid) {
			t.Errorf("job %v does not", j.number)
		}
		j.kill()
	}
	s.end()
}

func parent(pid int) int {
	for _, p := range descendants(os.Getpid()) {
		for _, child := range testbed.Children(p) {
			if child == pid {
				return p
			}
		}
	}
	return 0
}

// TestEscape: what moves out of the job's cgroup is ended all the same: with its job if that is the last, else with the server.
func TestEscape(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	for name, others := range map[string]int{"alone": 0, "among others": 2} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			s := b.serve(inCgroup, socket)
			s.hello()
			elsewhere := filepath.Join(b.cgroup, "elsewhere")
			s.must(os.Mkdir(elsewhere, 0o755))
			for range others {
				s.spawn(nil, "sleep", "1000")
			}
			script := `setsid sh -c 'echo $$ >"$0"/cgroup.procs && exec sleep 1000' ` + quote(elsewhere) + ` &
				until grep -q . ` + quote(elsewhere) + `/cgroup.procs; do sleep 0.01; done; exit 3`
			s.shell(nil, script).ended("exited")
			if others == 0 {
				s.must(os.Remove(elsewhere))
			}
			s.shutdown()
			if others > 0 {
				s.must(os.Remove(elsewhere))
			}
		})
	}
}

// TestTimerSlack: the slack that the server's own threads have is no job's.
func TestTimerSlack(t *testing.T) {
	want := testbed.TimerSlack(t)
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		r := s.shell(object{}, fmt.Sprintf("[ $(%s) = %s ]", testbed.ReadSlack, want)).ended("exited")
		if code := r["exit"].(object)["code"]; code != json.Number("0") && code != 0.0 {
			t.Errorf("the job's timer slack is not %s: %s", want, text(r))
		}
		s.end()
	})
}
