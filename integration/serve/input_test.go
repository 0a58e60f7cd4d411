package serve

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// typed is a job that reads what the owner says, with its output told as text.
var typed = object{"stdio": []any{"input", object{"capture": object{"limit": -1, "text": true}}}}

// said collects the output of a job, as text, until its end.
func (j *job) said() string {
	j.s.t.Helper()
	var all strings.Builder
	for {
		m := j.s.find("output or ended", func(m object) bool {
			params, _ := m["params"].(object)
			return params["job"] == j.number && (m["method"] == "output" || m["method"] == "ended")
		})
		params := m["params"].(object)
		if m["method"] == "ended" {
			return all.String()
		}
		all.WriteString(j.s.part(params))
	}
}

// part is the output of a message, in either form.
func (s *server) part(params object) string {
	s.t.Helper()
	if text, ok := params["text"].(string); ok {
		return text
	}
	data, err := base64.StdEncoding.DecodeString(params["data"].(string))
	s.must(err)
	return string(data)
}

// refused asks for something about the job that is not granted.
func (j *job) refused(code int, method string, more object) object {
	j.s.t.Helper()
	params := object{"job": j.number}
	for name, value := range more {
		params[name] = value
	}
	return j.s.refused(code, method, params)
}

// TestInput: what the owner says reaches the job, and then the end of it, once.
func TestInput(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(typed, "cat; exec sleep 1000")
		j.do("input", object{"text": "né"})
		j.do("input", object{"data": []byte{0xc3}})
		j.do("input", object{})
		j.do("input", object{"data": []byte{0xa9}, "fd": 0})
		j.do("input", object{"text": "!", "eof": true})
		if e := j.refused(-32010, "input", object{"text": "late"}); e["data"].(object)["errno"] != "EPIPE" {
			t.Errorf("after the end: %s", text(e))
		}
		for got := ""; got != "néé!"; {
			if got += s.part(j.told("output")); !strings.HasPrefix("néé!", got) {
				t.Fatalf("%q", got)
			}
		}
		j.kill()
		j.refused(-32004, "input", object{"text": "gone"})
		s.end()
	})
}

// TestInputBound: a job that does not read holds up its own input, is given no more than a bound, and what the owner has not
// got rid of is answered when the job ends.
func TestInputBound(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.spawn(object{"stdio": []any{"input"}}, "sleep", "1000")
		half := strings.Repeat("x", 1<<19)
		first := s.send("input", object{"job": j.number, "text": half})
		second := s.send("input", object{"job": j.number, "text": half})
		j.refused(-32003, "input", object{"text": half})
		other := s.spawn(typed, "cat")
		other.do("input", object{"text": "meanwhile", "eof": true})
		if got := other.said(); got != "meanwhile" {
			t.Errorf("%q", got)
		}
		j.do("kill", nil)
		for _, id := range []float64{first, second} {
			if e, _ := s.answer(id)["error"].(object); e["code"] != float64(-32010) {
				t.Errorf("input that was never read: %s", text(e))
			}
		}
		j.ended("killed")
		s.end()
	})
}

// TestInputClosed: a job that closes its input is an error for the owner, and no signal for the server.
func TestInputClosed(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		j := s.shell(object{"stdio": []any{"input", "capture"}}, "exec <&-; echo closed; sleep 1000")
		j.told("output")
		waiting := s.answer(s.send("input", object{"job": j.number, "text": "x"}))
		if e, _ := waiting["error"].(object); e["code"] != float64(-32010) {
			t.Errorf("%s", text(waiting))
		}
		j.refused(-32602, "input", object{"text": "x", "fd": 1})
		j.refused(-32602, "input", object{"text": "x", "data": []byte("y")})
		j.kill()
		s.end()
	})
}

// TestInputLarge: a lot goes through a job whose readers are slow, nothing is lost, and the server stays small. Meanwhile other
// jobs come and go; how late the owner hears of their ends is logged.
func TestInputLarge(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		size := 1 << 30
		if testing.Short() {
			size = 16 << 20
		}
		s := newBox(t).serve(c, socket)
		s.hello()
		j := s.shell(object{"stdio": []any{"input", object{"capture": object{"window": 1 << 20}}}}, "sleep 0.2; exec cat")
		// An owner has to read whatever it writes: so the writing is another goroutine's.
		lines := make(chan string, 1<<20)
		defer close(lines)
		go func() { // ends with the test
			for line := range lines {
				s.in.Write([]byte(line))
			}
		}()
		sum, back := sha256.New(), sha256.New()
		part := make([]byte, 256<<10)
		said, total := 0, 0
		say := func() { // the next part, or the end
			more := object{"job": j.number, "eof": true}
			if said < size {
				for k := range part {
					part[k] = byte(k*7 + said>>18)
				}
				sum.Write(part)
				more = object{"job": j.number, "data": part}
			}
			said += len(part)
			lines <- request(fmt.Sprint("part ", said), "input", more)
			if said%(16<<20) == 0 {
				lines <- request("other", "spawn", object{"argv": []string{"true"}})
			}
		}
		for range 3 {
			say()
		}
		var late []time.Duration
		for others, ended := 0, false; !ended || len(late) < others; {
			m := s.next()
			params, _ := m["params"].(object)
			id, _ := m["id"].(string)
			switch {
			case m == nil || m["error"] != nil:
				t.Fatalf("%s", text(m))
			case strings.HasPrefix(id, "part ") && said <= size:
				say()
			case id == "other":
				others++
			case m["method"] == "ended" && params["job"] != j.number:
				at, err := time.Parse(time.RFC3339Nano, params["record"].(object)["ended"].(string))
				s.must(err)
				late = append(late, time.Since(at))
			case m["method"] == "ended":
				ended = true
			case m["method"] == "output":
				got := s.part(params)
				total += len(got)
				back.Write([]byte(got))
				lines <- text(object{"jsonrpc": "2.0", "method": "credit", "params": object{"job": j.number, "bytes": len(got)}}) + "\n"
			}
		}
		if total != size || string(sum.Sum(nil)) != string(back.Sum(nil)) {
			t.Errorf("%d bytes came back of %d", total, size)
		}
		slices.Sort(late)
		t.Logf("%d other jobs ended, told late by %v (median) and %v (most); the server has had %d MiB", len(late), late[len(late)/2], late[len(late)-1], s.memory())
		if got := s.memory(); got > flat {
			t.Errorf("the server has had %d MiB", got)
		}
		s.end()
	})
}

// TestWindow: a job whose output the owner does not take waits, alone; the others go on.
func TestWindow(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		const window = 10000
		j := s.spawn(object{"stdio": []any{"null", object{"capture": object{"window": window}}}}, "head", "-c", "1000000", "/dev/zero")
		got := 0
		for got < window {
			got += len(s.part(j.told("output")))
		}
		if got != window {
			t.Errorf("%d bytes with a window of %d", got, window)
		}
		for range 3 { // time enough for more to come
			s.spawn(nil, "true").ended("exited")
		}
		if m := s.call("stat", object{"job": j.number}); m["state"] != "running" {
			t.Errorf("the job does not wait: %s", text(m))
		}
		j.refused(-32602, "credit", object{"bytes": -1})
		j.refused(-32602, "credit", object{"bytes": 1, "fd": 2})
		j.do("credit", object{"bytes": 5000})
		for got < window+5000 {
			got += len(s.part(j.told("output")))
		}
		j.do("credit", object{"bytes": 1 << 40})
		for got < 1000000 {
			got += len(s.part(j.told("output")))
		}
		j.ended("exited")
		if got != 1000000 {
			t.Errorf("%d bytes", got)
		}
		s.end()
	})
}

// TestWindowAtTheEnd: a job ends though its owner takes nothing, and what is in its pipe comes.
func TestWindowAtTheEnd(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(object{"stdio": []any{"null", object{"capture": object{"window": 1}}}}, "echo all of this; sleep 1000")
		j.told("output")
		j.do("kill", object{"wait": true})
		j.ended("killed")
		var rest string
		for _, m := range s.seen {
			if m["method"] == "output" {
				rest += s.part(m["params"].(object))
			}
		}
		if rest != "ll of this\n" {
			t.Errorf("%q", rest)
		}
		s.end()
	})
}

// TestText: text comes in whole characters, wherever the job's writes are cut, and other bytes as they are.
func TestText(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(object{"stdio": []any{"null", object{"capture": object{"text": true, "window": 1}}}},
			`for b in 303 251 360 237 230 200 141; do printf "\\$b"; done; exec sleep 1000`)
		var got []string
		for strings.Join(got, "") != "é😀a" {
			got = append(got, j.told("output")["text"].(string))
			j.do("credit", object{"bytes": len(got[len(got)-1])})
			if len(got) > 100 {
				t.Fatalf("%q", got)
			}
		}
		j.kill()
		for script, want := range map[string][]object{
			`printf 'a\377b'`: {{"data": "Yf9i"}},
			`printf 'a\303'`:  {{"text": "a"}, {"data": "ww=="}},
		} {
			j := s.shell(object{"stdio": []any{"null", object{"capture": object{"text": true}}}}, script)
			for _, w := range want {
				if m := j.told("output"); m["text"] != w["text"] || m["data"] != w["data"] {
					t.Errorf("%s: %s, want %s", script, text(m), text(w))
				}
			}
			j.ended("exited")
		}
		s.end()
	})
}

// TestOthersUnhindered: while one job writes without end, others start and end as ever.
func TestOthersUnhindered(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		flood := s.spawn(object{"stdio": []any{"input", object{"capture": object{"limit": -1, "wait": true}}}}, "cat", "/dev/zero")
		for range 20 {
			j := s.shell(object{"stdio": []any{"null", "capture"}}, "echo here")
			if got := s.part(j.told("output")); got != "here\n" {
				t.Errorf("%q", got)
			}
			j.ended("exited")
		}
		if state := flood.do("stat", nil)["state"]; state != "running" {
			t.Errorf("the other one is %v", state)
		}
		flood.kill()
		s.seen = nil
		s.end()
	})
}

// TestInputFlood: requests that wait cost little, also those without an id, and take nothing from the other jobs.
func TestInputFlood(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.spawn(object{"stdio": []any{"input"}}, "sleep", "1000")
		full := s.send("input", object{"job": j.number, "text": strings.Repeat("x", 1<<19)})
		for range 20 {
			empty := text(object{"jsonrpc": "2.0", "method": "input", "params": object{"job": j.number}}) + "\n"
			s.write(strings.Repeat(empty, 1000))
		}
		id := strings.Repeat("i", 1<<20)
		for range 3 {
			s.write(request(id, "input", object{"job": j.number, "text": "x"}))
			m := s.find("an answer to a long id", func(m object) bool { return m["id"] == id })
			if e, _ := m["error"].(object); e["code"] != -32003.0 {
				t.Fatalf("%.200s", text(m))
			}
		}
		other := s.spawn(nil, "sleep", "1000")
		waits := s.send("wait", object{"job": other.number})
		other.kill()
		if m := s.answer(waits); m["error"] != nil {
			t.Errorf("%s", text(m))
		}
		j.kill()
		if m := s.answer(full); m["error"] == nil {
			t.Errorf("%s", text(m))
		}
		s.end()
	})
}

// TestInputBesideTerminal: a pipe beside a terminal is told from it by its number.
func TestInputBesideTerminal(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(object{"stdio": []any{"pty", "pty", "input"}}, "stty -echo; read x <&2; echo \"pipe: $x\"; read x; echo \"terminal: $x\"; exec sleep 1000")
		j.do("input", object{"text": "a\n", "fd": 2, "eof": true})
		got := s.part(j.told("output"))
		j.do("input", object{"text": "b\n", "fd": 1})
		j.refused(-32602, "input", object{"text": "c", "fd": -1})
		for !strings.Contains(got, "terminal: b") {
			got += s.part(j.told("output"))
		}
		if !strings.Contains(got, "pipe: a") {
			t.Errorf("%q", got)
		}
		j.kill()
		s.seen = nil
		s.end()
	})
}
