package serve

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// pipeline starts several commands as one job.
func (s *server) pipeline(params object, commands ...any) *job {
	s.t.Helper()
	all := object{"pipeline": commands}
	for name, value := range params {
		all[name] = value
	}
	r := s.call("spawn", all)
	return &job{s, r["job"].(float64), int(r["pid"].(float64)), r}
}

// sh is a command of a pipeline.
func sh(script string) object { return object{"argv": []string{"sh", "-c", script}} }

// ends are the statuses of a pipeline's commands, a word each.
func ends(ended object) (words []string) {
	for _, c := range ended["commands"].([]any) {
		exit, _ := c.(object)["exit"].(object)
		switch {
		case exit == nil:
			words = append(words, "-")
		case exit["signal"] != nil:
			words = append(words, exit["signal"].(string))
		default:
			words = append(words, text(exit["code"]))
		}
	}
	return words
}

// TestPipeline: several commands are one job, with the status of each.
func TestPipeline(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		for _, tt := range []struct {
			commands []any
			output   string
			ends     string
			exit     string // code, or signal
		}{
			{[]any{sh("echo one; echo two"), sh("tr a-z A-Z"), sh("cat -n")}, "     1\tONE\n     2\tTWO\n", "0 0 0", "0"},
			{[]any{object{"argv": []string{"yes"}}, sh("head -n1")}, "y\n", "SIGPIPE 0", "SIGPIPE"},
			{[]any{sh("exit 3"), sh("exit 4"), sh("cat")}, "", "3 4 0", "4"},
			{[]any{sh("exit 3")}, "", "3", "3"},
			{[]any{sh("kill -9 $$"), sh("cat; echo still")}, "still\n", "SIGKILL 0", "SIGKILL"},
			{[]any{sh("echo $V $W"), object{"argv": []string{"sh", "-c", "read x; echo $x $V $W"}, "env_update": object{"W": "own"}}}, "all all all own\n", "0 0", "0"},
			{[]any{sh("pwd"), object{"argv": []string{"sh", "-c", "cat; pwd"}, "cwd": "/usr"}}, "/\n/usr\n", "0 0", "0"},
		} {
			params := object{"stdio": []any{"null", object{"capture": object{"text": true}}}, "env_update": object{"V": "all", "W": "all"}, "cwd": "/"}
			j := s.pipeline(params, tt.commands...)
			output := ""
			var ended object
			for ended == nil {
				m := s.find("output or ended", func(m object) bool { return m["method"] == "output" || m["method"] == "ended" })["params"].(object)
				if m["record"] != nil {
					ended = m
				} else {
					output += s.part(m)
				}
			}
			exit := ended["record"].(object)["exit"].(object)
			got := text(exit["code"])
			if exit["signal"] != nil {
				got = exit["signal"].(string)
			}
			if output != tt.output || strings.Join(ends(ended), " ") != tt.ends || got != tt.exit {
				t.Errorf("%s: %q, %q, exit %s; job %v", text(tt.commands), output, ends(ended), got, j.number)
			}
		}
		s.end()
	})
}

// TestPipelineErrors: what is wrong with a command is named before anything runs; what only execve(2) finds ends it as in a shell.
func TestPipelineErrors(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		for field, commands := range map[string][]any{
			"pipeline[1].argv":    {sh("true"), object{"argv": []string{}}},
			"pipeline[0].argv[1]": {object{"argv": []string{"true", "a\x00b"}}},
			"pipeline[1].env":     {sh("true"), object{"argv": []string{"true"}, "env": object{"a=b": "c"}}},
		} {
			e := s.refused(-32602, "spawn", object{"pipeline": commands})
			if data, _ := e["data"].(object); data["field"] != field {
				t.Errorf("%s: %s", field, text(e))
			}
		}
		s.refused(-32602, "spawn", object{"pipeline": []any{sh("true")}, "argv": []string{"true"}})
		s.refused(-32005, "spawn", object{"pipeline": []any{sh("true"), object{"argv": []string{"no-such-command"}}}})
		bad := s.cmd.Dir + "/bad"
		s.must(os.WriteFile(bad, []byte("#!/no/such/interpreter\n"), 0o755))
		j := s.pipeline(object{"stdio": []any{"null", "null", "capture"}}, object{"argv": []string{bad}}, sh("cat"))
		if got := strings.Join(ends(j.told("ended")), " "); got != "127 0" {
			t.Errorf("ends: %s", got)
		}
		s.end()
	})
}

// TestPipelineEnds: signals reach all commands, a kill leaves none, and neither does the death of the main process.
func TestPipelineEnds(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		sleepers := []any{object{"argv": []string{"sleep", "1001"}}, object{"argv": []string{"sleep", "1002"}}, sh("trap 'exit 7' USR1; sleep 1003 & wait")}
		start := func() *job {
			j := s.pipeline(nil, sleepers...)
			testbed.Eventually(t, patience, "three sleeping", func() error { return wantSleepers(s.pid(), 3) })
			return j
		}
		j := start()
		j.do("signal", object{"signal": "USR1"})
		if got := strings.Join(ends(j.told("ended")), " "); got != "SIGUSR1 SIGUSR1 7" {
			t.Errorf("ends: %s", got)
		}
		j = start()
		r := j.do("kill", object{"wait": true})
		if r["killed_total"] != 5.0 {
			t.Errorf("%s", text(r))
		}
		j.ended("killed")
		j = start()
		s.must(syscall.Kill(j.pid, syscall.SIGKILL))
		j.ended("signaled")
		if alive := descendantsNamed(s.pid(), "sleep"); len(alive) > 0 {
			t.Errorf("alive: %v", alive)
		}
		s.end()
	})
}

// TestPipelineSignals: a signal reaches each command once, whether it is for the main process, for all, or the first step of a
// kill.
func TestPipelineSignals(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		counts := sh(`n=0; trap 'n=$((n+1)); echo got $n >&2' TERM; trap 'echo $n; exit 0' USR1; echo ready >&2; while :; do sleep 0.01; done`)
		params := object{"stdio": []any{"null", object{"capture": object{"text": true}}, object{"capture": object{"text": true}}}}
		for _, how := range []func(j *job){
			func(j *job) { j.do("signal", object{"signal": "TERM"}) },
			func(j *job) { j.do("signal", object{"signal": "TERM", "all": true}) },
			func(j *job) { j.do("kill", object{"grace": 1000}) },
			func(j *job) { s.must(syscall.Kill(j.pid, syscall.SIGTERM)) },
		} {
			j := s.pipeline(params, counts, counts)
			heard := map[string]int{}
			hear := func(word string, times int) {
				for heard[word] < times {
					for _, line := range strings.Split(s.part(j.told("output")), "\n") {
						heard[line]++
					}
				}
			}
			hear("ready", 2)
			how(j)
			hear("got 1", 2)
			j.do("signal", object{"signal": "USR1", "all": true})
			j.told("ended")
			if heard["got 2"] > 0 {
				t.Errorf("a command got it twice: %v", heard)
			}
		}
		s.end()
	})
}

// TestPipelineLarge: what the commands have in common costs little, and more than execve(2) takes is refused at once.
func TestPipelineLarge(t *testing.T) {
	s := newBox(t).serve(inSubreaper, pipes)
	s.hello()
	env := object{}
	for i := range 18 {
		env[fmt.Sprint("V", i)] = strings.Repeat("x", 100000)
	}
	var commands []any
	for range 64 {
		commands = append(commands, object{"argv": []string{"/bin/true"}})
	}
	ended := s.pipeline(object{"env": env}, commands...).told("ended")
	if got := strings.Join(ends(ended), " "); got != strings.TrimSpace(strings.Repeat("0 ", 64)) {
		t.Errorf("%s", got)
	}
	for i := range 100 {
		env[fmt.Sprint("W", i)] = strings.Repeat("x", 100000)
	}
	e := s.refused(-32006, "spawn", object{"env": env, "pipeline": commands})
	if data := text(e["data"]); !strings.Contains(data, "E2BIG") {
		t.Errorf("%s", data)
	}
	if got := s.memory(); got > 3*flat {
		t.Errorf("the server has had %d MiB", got)
	}
	s.refused(-32602, "spawn", object{"pipeline": append(commands, commands[0])})
	s.end()
}
