package serve

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// memory is what the server has had resident at most, in MiB.
func (s *server) memory() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	s.must(err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	s.must(err)
	return kib / 1024
}

// flat is how much memory the server may take, in MiB, whatever is not read of it.
const flat = 48

// output collects what is told of the output of a job until its end, and the counts.
func (j *job) output(fd float64) (told string, bytes, dropped float64) {
	j.s.t.Helper()
	for {
		m := j.s.find("output or ended", func(m object) bool {
			params, _ := m["params"].(object)
			return (m["method"] == "output" || m["method"] == "ended") && params["job"] == j.number && params["fd"] != 1-fd+2
		})
		params := m["params"].(object)
		if m["method"] == "ended" {
			for _, o := range params["output"].([]any) {
				if o := o.(object); o["fd"] == fd {
					return told, o["bytes"].(float64), o["dropped_bytes"].(float64)
				}
			}
			j.s.t.Fatalf("ended without the counts: %s", text(params))
		}
		data, err := base64.StdEncoding.DecodeString(params["data"].(string))
		j.s.must(err)
		told += string(data)
	}
}

// TestCapture: what is within the limit is told, the rest counted, and nothing hangs.
func TestCapture(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		for _, tt := range []struct {
			limit, written, told int
			wait                 bool
		}{
			{0, 100, 100, false}, {0, 3 << 20, 1 << 20, true}, {1, 100, 1, false}, {100, 100, 100, false}, {65536, 1 << 20, 65536, false},
			{-1, 3 << 20, 3 << 20, true}, {-1, 0, 0, false},
		} {
			capture := object{"capture": object{"limit": tt.limit, "wait": tt.wait}}
			j := s.spawn(object{"stdio": []any{"null", capture}}, "head", "-c", strconv.Itoa(tt.written), "/dev/zero")
			told, bytes, dropped := j.output(1)
			if len(told) != tt.told || int(bytes) != tt.told || int(dropped) != tt.written-tt.told || strings.Trim(told, "\x00") != "" {
				t.Errorf("%+v: told %d, %v bytes, %v dropped", tt, len(told), bytes, dropped)
			}
		}
		s.end()
	})
}

// TestCaptureOrder: nothing of a stream is lost or twice, or in another place.
func TestCaptureOrder(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		j := s.spawn(object{"stdio": []any{"null", object{"capture": object{"limit": -1, "wait": true}}}}, "seq", "100000")
		told, _, dropped := j.output(1)
		lines := strings.Fields(told)
		for i, line := range lines {
			if line != strconv.Itoa(i+1) {
				t.Fatalf("line %d is %q", i+1, line)
			}
		}
		if len(lines) != 100000 || dropped != 0 {
			t.Errorf("%d lines, %v dropped", len(lines), dropped)
		}
		s.end()
	})
}

// TestCaptureHeld: somebody outside of the job who holds its output does not hold up the end.
func TestCaptureHeld(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		r, w, err := os.Pipe()
		s.must(err)
		defer r.Close()
		keeper := s.answer(s.sendWith("spawn", object{"argv": []string{"sleep", "1000"}, "fds": 1, "stdio": []any{object{"fd": 0}}}, int(r.Fd())))
		w.Close()
		j := s.shell(object{"stdio": []any{"null", "capture"}}, "echo something; exec sleep 1000")
		j.told("output")
		held, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", j.pid), os.O_WRONLY, 0) // another writer
		s.must(err)
		defer held.Close()
		j.kill()
		s.call("kill", object{"job": keeper["result"].(object)["job"]})
		s.shutdown()
	})
}

// TestSilentOwner: one that does not read costs no memory and loses nothing; time limits pass, and what came meanwhile comes
// in its order.
func TestSilentOwner(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{pipes, socket} {
			t.Run(string(via), func(t *testing.T) { testSilentOwner(t, newBox(t).serve(c, via)) })
		}
	})
}

func testSilentOwner(t *testing.T, s *server) {
	s.hello()
	fast := object{"stdio": []any{"null", object{"capture": object{"limit": -1}}}}
	waits := object{"stdio": []any{"null", object{"capture": object{"limit": -1, "wait": true}}}}
	loud := s.spawn(fast, "head", "-c", "200000000", "/dev/zero")
	patient := s.spawn(waits, "head", "-c", "10000000", "/dev/zero")
	timed := s.shell(object{"timeout": 0.5, "grace": 0}, "setsid sleep 1000 & sleep 1000")
	const crowd = 300
	go func() { // ends when the server reads again, or has ended
		for i := range crowd {
			s.in.Write([]byte(request(fmt.Sprint("crowd", i), "spawn", object{"argv": []string{"true"}})))
		}
	}()
	// Nobody reads. The time limit passes, and the loud one is not held up.
	for _, j := range []*job{timed, loud} {
		if !awaitEnd(j.pid, patience) {
			t.Errorf("job %v lives on", j.number)
		}
	}
	if !alive(patient.pid) {
		t.Error("the one that was to wait has ended")
	}
	if used := s.memory(); used > flat {
		t.Errorf("the server took %d MiB", used)
	}
	_, bytes, dropped := loud.output(1)
	if bytes+dropped != 200000000 || dropped == 0 {
		t.Errorf("of the loud one %v bytes and %v dropped", bytes, dropped)
	}
	if told, bytes, dropped := patient.output(1); len(told) != 10000000 || bytes != 10000000 || dropped != 0 {
		t.Errorf("of the patient one %d, %v bytes and %v dropped", len(told), bytes, dropped)
	}
	timed.ended("timeout")
	for i := range crowd {
		m := s.find("the crowd", func(m object) bool { return m["id"] == fmt.Sprint("crowd", i) })
		j := &job{s: s, number: m["result"].(object)["job"].(float64)}
		j.told("started")
		j.told("exited")
		j.ended("exited")
	}
	if used := s.memory(); used > flat {
		t.Errorf("the server took %d MiB", used)
	}
	s.end()
}

// TestSilentOwnerLeaves: it has gone, though nobody reads, and somebody holds what it should have read.
func TestSilentOwnerLeaves(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		for _, via := range []transport{pipes, socket} {
			t.Run(string(via), func(t *testing.T) {
				s := newBox(t).serve(c, via)
				s.hello()
				waits := object{"stdio": []any{"null", object{"capture": object{"limit": -1, "wait": true}}}}
				loud := s.spawn(waits, "sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; sleep 1000")
				quiet := s.shell(nil, "setsid sleep 1000 & sleep 1000")
				s.closeInput()
				for _, j := range []*job{loud, quiet} {
					if !awaitEnd(j.pid, patience) {
						t.Errorf("job %v lives on", j.number)
					}
				}
				quiet.ended("owner-gone")
				loud.ended("owner-gone")
				if m := s.next(); m != nil || s.wait() != 0 {
					t.Errorf("at the end %s, status %d", text(m), s.wait())
				}
			})
		}
	})
}

// TestDeafOwner: one that closes what it should read has gone, though it goes on writing.
func TestDeafOwner(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.shell(nil, "setsid sleep 1000 & sleep 1000")
		s.out.(*os.File).Close()
		if !awaitEnd(j.pid, patience) {
			t.Error("the job lives on")
		}
		if code := s.wait(); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
	})
}

// TestIdle: a server with nothing to do sleeps, while one of its jobs does for half a second.
func TestIdle(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.spawn(nil, "sleep", "1000")
		half := s.spawn(nil, "sleep", "0.5")
		before := s.ticks()
		half.ended("exited")
		if spent := s.ticks() - before; spent > 10 {
			t.Errorf("it took %d ticks of the processor in half a second", spent)
		}
		s.shutdown()
	})
}

// ticks is the processor time of the server (utime and stime of proc_pid_stat(5)).
func (s *server) ticks() int {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid()))
	s.must(err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	s.must(err1)
	s.must(err2)
	return user + system
}
