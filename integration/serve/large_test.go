package serve

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// room is for what a supervisor of the job's own has in its arguments, and for its file name, which execve(2) counts too.
const room = 8 << 10

// largest is a command that is nearly as large as execve(2) takes, by the limit of the stack (bprm_stack_limits in the
// kernel's fs/exec.c), with an environment to fill it.
func largest(stack int) (argv []string, env object) {
	left := min(max(stack/4, 128<<10), 6<<20) - room
	argv, env = []string{"true"}, object{"PATH": "/usr/bin:/bin"}
	for i := 0; left > 0; i++ {
		text := strings.Repeat(`"`, min(100_000, left)) // two bytes each in JSON
		if left -= len(text) + 20; i%2 == 0 {
			argv = append(argv, text)
		} else {
			env[fmt.Sprint("V", i)] = text
		}
	}
	return argv, env
}

// TestLargestCommand: what execve(2) takes is taken, and what it refuses is refused for its reason.
func TestLargestCommand(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, stack := range []int{8 << 20, 64 << 20} {
			script := fmt.Sprintf("ulimit -s %d && exec %s serve --contain=%s", stack>>10, quote(supervise), c)
			testbed.Need(t, "such a stack", exec.Command("sh", "-c", fmt.Sprintf("ulimit -s %d", stack>>10)).Run())
			s := newBox(t).start(exec.Command("sh", "-c", script), pipes)
			s.hello()
			argv, env := largest(stack)
			r := s.spawn(object{"env": env}, argv...).ended("exited")
			if exit := r["exit"].(object); exit["code"] != 0.0 || len(r["argv"].([]any)) != len(argv) {
				t.Errorf("with a stack of %d: %v", stack, exit)
			}
			argv = append(argv, strings.Repeat("x", 2*room))
			if e := s.refused(-32006, "spawn", object{"argv": argv, "env": env}); e["data"].(object)["errno"] != "E2BIG" {
				t.Errorf("more than a stack of %d takes: %s", stack, text(e))
			}
			s.end()
		}
	})
}

// resident is how much memory of its own the server has, in MiB.
func (s *server) resident() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	s.must(err)
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	s.must(err)
	return kib / 1024
}

// TestMemoryGivenBack: after large requests, whatever becomes of them, the server is almost as
// small as before. Go's runtime may leave free some chunks of the heap, of 4 MiB each: once in
// a while its scavenger in the background marks one as done of which it has seen the lower part
// only, and debug.FreeOSMemory then skips it (Go 1.26, runtime/mgcscavenge.go).
func TestMemoryGivenBack(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		s.rested(4)
		argv, env := largest(8 << 20)
		tags := object{"long": strings.Repeat("x", 4<<20)}
		for name, large := range map[string]func(){
			"a job":         func() { s.spawn(object{"env": env, "tags": tags}, argv...).ended("exited") },
			"not a job":     func() { s.refused(-32005, "spawn", object{"argv": []string{"/no/such/command"}, "tags": tags}) },
			"not a request": func() { s.write("[" + strings.Repeat("0,", 2<<20) + "0]\n"); s.next() },
			"a slow owner": func() { // the pause comes before the owner has read what is large
				j := s.spawn(object{"tags": object{"long": strings.Repeat("x", 15<<20)}}, "true")
				s.must(s.receive())
				s.rested(32)
				j.ended("exited")
			},
			"no end": func() { s.write(strings.Repeat("x", 17<<20) + "\n"); s.next() },
			"many": func() {
				for range 5 {
					s.spawn(object{"env": env}, argv...).ended("exited")
				}
			},
		} {
			large()
			s.rested(16)
			if peak := s.memory(); peak > 160 {
				t.Errorf("%s: %d MiB", name, peak)
			}
		}
		s.end()
	})
}

// rested waits until the server has at most so many MiB: it gives memory back in the next pause.
func (s *server) rested(most int) {
	s.t.Helper()
	for end := time.Now().Add(patience); s.resident() > most; unix.Poll(nil, 10) {
		if time.Now().After(end) {
			s.t.Fatalf("the server keeps %d MiB", s.resident())
		}
	}
}
