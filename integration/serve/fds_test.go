package serve

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// sendWith asks for something with descriptors, which are ours to close.
func (s *server) sendWith(method string, params any, fds ...int) float64 {
	s.t.Helper()
	s.ids++
	line := request(s.ids, method, params)
	s.lines(line)
	if _, _, err := s.conn.WriteMsgUnix([]byte(line), unix.UnixRights(fds...), nil); err != nil {
		s.t.Fatal(err)
	}
	return float64(s.ids)
}

// take returns the descriptors that came since the last.
func (s *server) take(n int) (files []*os.File) {
	s.t.Helper()
	if len(s.fds) != n {
		s.t.Fatalf("%d descriptors came, want %d", len(s.fds), n)
	}
	for _, fd := range s.fds {
		files = append(files, os.NewFile(uintptr(fd), "of the server"))
	}
	s.fds = nil
	return files
}

// wantFds checks that the server's descriptors are what they were.
func (s *server) wantFds(before map[string]string) {
	s.t.Helper()
	testbed.Eventually(s.t, patience, "descriptors of the server", func() error {
		now := openFds(s.pid())
		if len(now) == len(before) {
			return nil
		}
		return errorf("%v, before it had %v", now, before)
	})
}

func TestDescriptors(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		if !slices.Contains(s.features(), "fds") {
			t.Error("no feature fds over a socket")
		}
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		r, w, err := os.Pipe()
		s.must(err)
		defer r.Close()
		id := s.sendWith("spawn", object{
			"argv": []string{"sh", "-c", "echo one; echo two >&2; echo three >&4"}, "fds": 2,
			"stdio": []any{"null", object{"fd": 1}, object{"dup": 1}, "null", object{"fd": 0}},
		}, int(w.Fd()), int(w.Fd()))
		w.Close()
		if m := s.answer(id); m["error"] != nil {
			t.Fatal(text(m))
		}
		r.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(r); string(got) != "one\ntwo\nthree\n" || err != nil { // at the end nobody has it, the server included
			t.Errorf("read %q, %v", got, err)
		}
		s.find("ended", func(m object) bool { return m["method"] == "ended" })
		s.wantFds(before)
		s.end()
	})
}

// TestPipes: the other ends come with the answer.
func TestPipes(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		j := s.shell(object{"stdio": []any{"pipe", "pipe", object{"pipe": true}, "null", "pipe"}}, "cat; echo err >&2; echo four >&4")
		if text(j.result["pipes"]) != "[0,1,2,4]" {
			t.Errorf("pipes: %s", text(j.result))
		}
		ends := s.take(4)
		ends[0].WriteString("what the cat reads")
		ends[0].Close()
		for i, want := range []string{"what the cat reads", "err\n", "four\n"} {
			got, err := io.ReadAll(ends[i+1])
			if ends[i+1].Close(); string(got) != want || err != nil {
				t.Errorf("pipe %d: %q, %v", i+1, got, err)
			}
		}
		j.ended("exited")
		s.wantFds(before)
		s.end()
	})
}

// TestDescriptorsOfErrors: those of a request that fails are closed, and so are pipes.
func TestDescriptorsOfErrors(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		for _, params := range []object{
			{"argv": []string{"no-such-command"}, "fds": 1, "stdio": []any{object{"fd": 0}, "pipe", "capture"}},
			{"argv": []string{"true"}, "fds": 1, "stdio": []any{object{"fd": 0}, "pipe", "capture", object{"file": "/nowhere/file"}}},
			{"argv": []string{"true"}, "fds": 1, "stdio": []any{object{"fd": 1}}},
			{"argv": []string{"true"}, "fds": 1, "cwd": "/nowhere", "stdio": []any{object{"fd": 0}, "pipe", "capture", object{"file": "/dev/null"}}},
			{"argv": []string{"true"}, "fds": 1, "signal": "NONE"},
			{"argv": 7, "fds": 1},
			{"argv": []string{"true"}, "cwd": 7, "fds": 1},
		} {
			r, w, err := os.Pipe()
			s.must(err)
			m := s.answer(s.sendWith("spawn", params, int(w.Fd())))
			w.Close()
			if m["error"] == nil {
				t.Errorf("%s: %s", text(params), text(m))
			}
			r.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadAll(r); err != nil {
				t.Errorf("%s: the descriptor is open: %v", text(params), err)
			}
			r.Close()
		}
		s.refused(-32602, "spawn", object{"argv": []string{"true"}, "fds": 1})
		s.refused(-32602, "spawn", object{"argv": []string{"true"}, "fds": -1})
		s.refused(-32602, "spawn", object{"argv": []string{"true"}, "fds": 254})
		s.take(0)
		s.wantFds(before)
		s.end()
	})
}

// TestDescriptorsUnasked: those of no request cost the server no more than a bound, and are closed at the end.
func TestDescriptorsUnasked(t *testing.T) {
	s := newBox(t).serve(inSubreaper, socket)
	s.hello()
	r, w, err := os.Pipe()
	s.must(err)
	defer r.Close()
	for range 20 {
		s.answer(s.sendWith("list", nil, slices.Repeat([]int{int(w.Fd())}, 200)...))
	}
	w.Close()
	if n := len(openFds(s.pid())); n > 1100 {
		t.Errorf("the server has %d descriptors", n)
	}
	s.end()
	r.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

// TestNothingInherited: a job has its own descriptors, and none of the server's.
func TestNothingInherited(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.hello()
		s.spawn(object{"stdio": []any{"pipe", "pipe", "capture"}}, "sleep", "1000")
		for _, end := range s.take(2) {
			end.Close()
		}
		j := s.spawn(object{"stdio": []any{"null", "null", "null", "null"}}, "sleep", "1000")
		// Until exec it has our descriptors, all close-on-exec; after that it opens what it needs, and closes it.
		testbed.Eventually(t, patience, "the job has no descriptors but its own", func() error {
			fds := sorted(openFds(j.pid))
			if comm(j.pid) != "sleep" || strings.Join(fds, " ") != "0 1 2 3" {
				return errorf("%q has %q", comm(j.pid), fds)
			}
			return nil
		})
		s.shutdown()
	})
}

// TestInherit: the server's own, but not the connection.
func TestInherit(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		s.shell(object{"stdio": []any{"null", "null", "inherit"}}, "echo from the job >&2").ended("exited")
		s.end()
		if got, _ := os.ReadFile(s.stderr); string(got) != "from the job\n" {
			t.Errorf("stderr: %q", got)
		}
		s.must(os.Truncate(s.stderr, 0))
	})
}

// TestFIFO: one without a reader or writer holds up no job.
func TestFIFO(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, pipes)
		s.hello()
		fifo := filepath.Join(s.box.dir, "fifo")
		s.must(unix.Mkfifo(fifo, 0o600))
		for _, mode := range []string{"append", "truncate", "create"} {
			data := s.refused(-32010, "spawn", object{"argv": []string{"true"}, "stdio": []any{"null", object{"file": fifo, "mode": mode}}})["data"]
			if errno := data.(object)["errno"]; errno != map[string]string{"create": "EEXIST"}[mode] && errno != "ENXIO" {
				t.Errorf("mode %s: %v", mode, data)
			}
		}
		j := s.spawn(object{"stdio": []any{object{"file": fifo}, "capture"}}, "sleep", "1000")
		s.spawn(object{"stdio": []any{object{"file": "/dev/null", "mode": "read"}}}, "true").ended("exited")
		j.kill()
		s.end()
	})
}

// TestNoDescriptorsLeft: where the server runs out of them a request fails, and nothing else.
func TestNoDescriptorsLeft(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).start(exec.Command("sh", "-c", "ulimit -n 40; exec "+quote(supervise, "serve", "--contain="+string(c))), socket)
		s.hello()
		s.spawn(nil, "true").ended("exited")
		before := openFds(s.pid())
		for range 3 {
			s.refused(-32003, "spawn", object{"argv": []string{"true"}, "stdio": slices.Repeat([]any{"pipe"}, 50)})
		}
		s.take(0)
		s.wantFds(before)
		s.spawn(nil, "true").ended("exited")
		s.end()
	})
}
