package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keeping has the last bytes of both outputs kept.
func keeping(n int) object {
	return object{"stdio": []any{"null", object{"capture": object{"keep": n}}, object{"capture": object{"keep": n}}}}
}

// TestKept: the last bytes of a job are there, while it runs and afterwards, from any offset, until they are forgotten.
func TestKept(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		params := keeping(10)
		params["stdio"].([]any)[0] = "input"
		j := s.shell(params, "printf 0123456789abcdef; printf err >&2; read x; printf 'gh\\303\\251'; read x")
		var r object
		for r = j.do("output", object{"wait": 100}); r["bytes"] != float64(16); r = j.do("output", object{"wait": 100, "offset": r["next"]}) {
		}
		for _, tt := range []struct {
			ask, want object
		}{
			{nil, object{"offset": 6.0, "next": 16.0, "cut": 0.0, "bytes": 16.0, "text": "6789abcdef", "eof": false, "ended": false}},
			{object{"offset": 0}, object{"offset": 6.0, "next": 16.0, "cut": 6.0, "text": "6789abcdef"}},
			{object{"offset": 10, "max": 4}, object{"offset": 10.0, "next": 14.0, "cut": 0.0, "text": "abcd"}},
			{object{"offset": -2}, object{"offset": 14.0, "next": 16.0, "cut": 0.0, "text": "ef"}},
			{object{"offset": -200}, object{"offset": 6.0, "cut": 0.0, "text": "6789abcdef"}},
			{object{"offset": 16}, object{"offset": 16.0, "next": 16.0, "text": ""}},
			{object{"offset": 1000, "wait": 0.01}, object{"offset": 16.0, "next": 16.0, "text": ""}},
			{object{"fd": 2, "wait": 100}, object{"text": "err", "bytes": 3.0}},
		} {
			ask := object{"text": true}
			for name, value := range tt.ask {
				ask[name] = value
			}
			got := j.do("output", ask)
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("output %s: %s, want %s", text(ask), text(got), text(tt.want))
					break
				}
			}
		}
		next := s.send("output", object{"job": j.number, "offset": 16, "wait": 100, "text": true})
		j.do("input", object{"text": "\n"})
		if got := s.answer(next)["result"].(object)["text"]; got != "ghé" && got != "gh" {
			t.Errorf("waited for: %v", got)
		}
		end := s.send("output", object{"job": j.number, "offset": 20, "wait": 100})
		j.do("input", object{"text": "\n"})
		record := j.told("ended")
		if got := s.answer(end)["result"].(object); got["eof"] != true || got["data"] != "" {
			t.Errorf("at the end: %s", text(got))
		}
		if out := text(record["output"]); out != `[{"bytes":0,"dropped_bytes":10,"fd":1,"kept_bytes":10},{"bytes":0,"dropped_bytes":0,"fd":2,"kept_bytes":3}]` {
			t.Errorf("counts: %s", out)
		}
		if got := text(s.call("list", nil)); got != fmt.Sprintf(`{"jobs":[],"kept":[%v]}`, j.number) {
			t.Errorf("list: %s", got)
		}
		// The ring begins within the two bytes of é.
		if got := j.do("output", object{"text": true, "offset": -1}); got["text"] != "" || got["ended"] != true || got["eof"] != true {
			t.Errorf("after the end: %s", text(got))
		}
		if got := j.do("output", object{"text": true}); got["text"] != "abcdefghé"[1:] && got["text"] != "abcdefghé" {
			t.Errorf("after the end: %s", text(got))
		}
		j.refused(-32602, "output", object{"fd": 3})
		j.refused(-32602, "output", object{"max": 1 << 21})
		j.do("forget", nil)
		j.refused(-32004, "forget", nil)
		j.refused(-32004, "output", nil)
		s.end()
	})
}

// TestKeptAndTold: with a limit the first bytes are told, too.
func TestKeptAndTold(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(object{"stdio": []any{"null", object{"capture": object{"keep": 3, "limit": 3}}}}, "printf 0123456789")
		if got := s.part(j.told("output")); got != "012" {
			t.Errorf("told %q", got)
		}
		if out := text(j.told("ended")["output"]); out != `[{"bytes":3,"dropped_bytes":4,"fd":1,"kept_bytes":3}]` {
			t.Errorf("counts: %s", out)
		}
		if got := j.do("output", object{"text": true}); got["text"] != "789" {
			t.Errorf("kept %s", text(got))
		}
		s.end()
	})
}

// TestKeptBound: no more is kept of all jobs than is said, whatever was kept first goes first, and the server stays within it.
func TestKeptBound(t *testing.T) {
	s := newBox(t).serve(inSubreaper, pipes)
	s.hello()
	const most = 64 << 20
	half := object{"stdio": []any{"null", object{"capture": object{"keep": most / 2}}}}
	full := object{"stdio": []any{"null", object{"capture": object{"keep": most}}}}
	first := s.spawn(half, "head", "-c", fmt.Sprint(most), "/dev/zero")
	first.ended("exited")
	if got := first.do("output", object{"max": 10}); got["bytes"] != float64(most) {
		t.Errorf("%s", text(got))
	}
	var running []*job
	for range 3 {
		running = append(running, s.spawn(full, "sleep", "1000"))
	}
	s.refused(-32005, "spawn", object{"argv": []string{"/no/such"}, "path": "/no/such", "stdio": full["stdio"]})
	first.do("output", object{"max": 10}) // what is not started needs no room
	running = append(running, s.spawn(full, "sleep", "1000"))
	first.refused(-32004, "output", nil) // it had to make room
	s.refused(-32003, "spawn", object{"argv": []string{"true"}, "stdio": []any{"null", object{"capture": object{"keep": 1}}}})
	s.refused(-32602, "spawn", object{"argv": []string{"true"}, "stdio": []any{"null", object{"capture": object{"keep": most + 1}}}})
	for _, j := range running {
		j.kill()
	}
	for range 5 { // the promises were given back, also those of a start that fails
		s.refused(-32005, "spawn", object{"argv": []string{"/no/such"}, "path": "/no/such", "stdio": full["stdio"]})
	}
	last := s.shell(object{"stdio": []any{"null", object{"capture": object{"keep": 100}}}}, "echo last")
	last.ended("exited")
	if got := last.do("output", object{"text": true}); got["text"] != "last\n" {
		t.Errorf("%s", text(got))
	}
	s.end()
}

// TestKeptWaits: many that wait are all answered, in whatever order they end, and when the job does.
func TestKeptWaits(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.spawn(object{"stdio": []any{"null", object{"capture": object{"keep": 10}}}}, "sleep", "1000")
		var ids []float64
		for i := range 20 {
			ids = append(ids, s.send("output", object{"job": j.number, "wait": 0.001 * float64(20-i)}))
		}
		for _, id := range ids {
			if got := s.answer(id)["result"].(object); got["bytes"] != 0.0 || got["eof"] != false {
				t.Errorf("%s", text(got))
			}
		}
		long := s.send("output", object{"job": j.number, "wait": 1000})
		j.do("kill", nil)
		if got := s.answer(long)["result"].(object); got["eof"] != true {
			t.Errorf("%s", text(got))
		}
		j.ended("killed")
		s.end()
	})
}

// TestKeptRing: whatever the sizes of ring and writes, what is kept is what was written last.
func TestKeptRing(t *testing.T) {
	s := newBox(t).serve(inSubreaper, pipes)
	s.hello()
	for _, keep := range []int{1, 7, 100, 40000, 1 << 20} {
		j := s.spawn(object{"stdio": []any{"null", object{"capture": object{"keep": keep}}}}, "seq", "30000")
		j.ended("exited")
		var all strings.Builder
		for i := range 30000 {
			fmt.Fprintln(&all, i+1)
		}
		want := all.String()
		cut := max(0, len(want)-keep)
		got, from := "", cut
		for {
			r := j.do("output", object{"offset": from, "max": 10007})
			got += s.part(r)
			if from = int(r["next"].(float64)); from == len(want) {
				break
			}
		}
		if got != want[cut:] {
			t.Errorf("keep %d: another end of %d bytes", keep, len(got))
		}
	}
	s.end()
}

// TestOutputWaitsExpire: many requests that wait for output in vain do not keep the server busy.
func TestOutputWaitsExpire(t *testing.T) {
	s := newBox(t).serve(inSubreaper, pipes)
	s.hello()
	j := s.spawn(object{"stdio": []any{"null", object{"capture": object{"keep": 1000}}}}, "sleep", "1000")
	const many = 20_000
	ids := make([]float64, many)
	for i := range ids {
		ids[i] = s.send("output", object{"job": j.number, "wait": 2 + float64(i)/many})
	}
	for _, id := range ids {
		if m := s.answer(id); m["result"] == nil {
			t.Fatalf("%s", text(m))
		}
	}
	if used := processorTime(t, s.pid()); used > 8 {
		t.Errorf("the server has used %v s", used)
	}
	j.kill()
	s.end()
}

// processorTime is that of a process in seconds.
func processorTime(t *testing.T, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	var user, system float64
	fields := strings.Fields(rest)
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return (user + system) / 100
}

// TestKeptBeforeShutdown: the answers to shutdown are the last, whatever waits for an owner that reads slowly.
func TestKeptBeforeShutdown(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		s := b.serve(c, pipes)
		s.hello()
		file := filepath.Join(b.dir, "go")
		j := s.shell(keeping(1<<20), "until test -e "+file+"; do sleep 0.01; done; head -c 60000 /dev/zero") // an answer has 80,000 bytes, and a pipe room for 65,536
		var ids []float64
		for range 3 {
			ids = append(ids, s.send("output", object{"job": j.number, "offset": 0, "max": 1 << 20, "wait": 1000}))
		}
		ids = append(ids, s.send("shutdown", object{"grace": 1000, "signal": "CONT"}))
		s.refused(-32601, "none", nil) // by now all of them are read
		s.must(unix.Kill(s.pid(), unix.SIGSTOP))
		var status unix.WaitStatus
		if _, err := unix.Wait4(s.pid(), &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatal(status, err)
		}
		s.must(os.WriteFile(file, nil, 0o644))
		for end := time.Now().Add(patience); ; unix.Poll(nil, 10) { // until the job has ended: the server then sees that and its output at once
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", j.pid))
			if err != nil || strings.Contains(string(stat), ") Z ") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the job does not end: %s", stat)
			}
		}
		s.must(unix.Kill(s.pid(), unix.SIGCONT))
		var answered []float64
		for m := s.next(); m != nil; m = s.next() {
			if id, ok := m["id"].(float64); ok && slices.Contains(ids, id) {
				answered = append(answered, id)
			}
		}
		if !slices.Equal(answered, ids) {
			t.Errorf("answered: %v, want %v", answered, ids)
		}
		s.wait()
	})
}
