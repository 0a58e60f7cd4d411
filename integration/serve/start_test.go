package serve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A slow program is one whose execve(2) waits until the test allows it (fanotify(7), FAN_OPEN_EXEC_PERM).
type slow struct {
	t    *testing.T
	path string
	fd   int
	held []int32 // descriptors of the events that were not answered
}

// slow makes such a program, in the place of a file system that is.
func (b *box) slow(content string) *slow {
	b.t.Helper()
	if os.Geteuid() != 0 {
		b.t.Skip("only root can hold an execve(2) (fanotify(7))")
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)
	s := &slow{t: b.t, path: filepath.Join(b.dir, "slow"), fd: fd}
	if err == nil {
		b.t.Cleanup(func() { unix.Close(fd) }) // allows whatever waits
		err = os.WriteFile(s.path, []byte(content), 0o755)
	}
	if err == nil {
		err = unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, s.path)
	}
	testbed.Need(b.t, "fanotify with permission events", err)
	return s
}

// await waits until it is being executed, once more.
func (s *slow) await() {
	s.t.Helper()
	if !s.comes(int(patience.Milliseconds())) {
		s.t.Fatal("nothing executes it")
	}
	var event [24]byte // struct fanotify_event_metadata
	if _, err := unix.Read(s.fd, event[:]); err != nil {
		s.t.Fatal(err)
	}
	s.held = append(s.held, int32(binary.NativeEndian.Uint32(event[16:])))
}

// answer lets those that wait go on, or has their execve(2) fail (EPERM).
func (s *slow) answer(response uint32) {
	s.t.Helper()
	for _, fd := range s.held {
		text := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, uint32(fd)), response)
		if _, err := unix.Write(s.fd, text); err != nil {
			s.t.Error(err)
		}
		unix.Close(int(fd))
	}
	s.held = nil
}

// comes says whether it is being executed, within some milliseconds.
func (s *slow) comes(ms int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, ms)
	return n > 0 && err == nil
}

// sleeper is a program's text that sleeps.
func sleeper(t *testing.T) string {
	text, err := os.ReadFile(testbed.Program(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// slowServer starts a server, and makes a slow program.
func slowServer(t *testing.T, via transport) (b *box, program *slow, s *server) {
	t.Helper()
	testbed.Need(t, "a cgroup of our own", noGroup)
	b = newBox(t)
	program = b.slow(sleeper(t))
	s = b.serve(inCgroup, via)
	s.hello()
	s.warm()
	return b, program, s
}

// warm has the server start a first job, which is waited for in another way.
func (s *server) warm() {
	s.t.Helper()
	s.spawn(nil, "true").ended("exited")
}

// TestSlowStart: a program that is slow to be executed, from a network's file system say, holds up what was asked for after it,
// and nothing else; and further programs are started meanwhile.
func TestSlowStart(t *testing.T) {
	b, program, s := slowServer(t, socket)
	timed := s.spawn(object{"timeout": 0.2, "grace": 0}, "sleep", "1000")
	first := s.send("spawn", object{"argv": []string{program.path, "1000"}})
	program.await()
	timed.ended("timeout")
	file := filepath.Join(b.dir, "touched")
	second := s.send("spawn", object{"argv": []string{"touch", file}})
	testbed.Eventually(t, patience, "starting another", func() error { _, err := os.Stat(file); return err })
	third := s.send("list", nil)
	program.answer(unix.FAN_ALLOW)
	list := s.answer(third)["result"].(object)["jobs"].([]any)
	if !slices.IsSorted(s.answered) {
		t.Errorf("answers in the order %v", s.answered)
	}
	held := s.spawned(first)
	quick := s.spawned(second)
	if !strings.Contains(text(list), fmt.Sprintf(`"job":%v`, held.number)) {
		t.Errorf("the list lacks job %v: %s", held.number, text(list))
	}
	for _, method := range []string{"started", "exited"} {
		quick.told(method)
	}
	quick.ended("exited")
	held.told("started")
	held.kill()
	s.end()
}

// TestSlowStartDenied: what is wrong with a program that was slow to be executed the answer says, and nothing is left of it.
func TestSlowStartDenied(t *testing.T) {
	_, program, s := slowServer(t, socket)
	id := s.send("spawn", object{"argv": []string{program.path, "1000"}})
	next := s.send("spawn", object{"argv": []string{"true"}})
	program.await()
	program.answer(unix.FAN_DENY)
	if m := s.answer(id); !strings.Contains(text(m), `"errno":"EPERM"`) {
		t.Errorf("the answer is %s", text(m))
	}
	j := s.spawned(next)
	j.told("started")
	j.ended("exited")
	s.end()
}

// TestSlowStartEnds: a server ends, with main processes that do not get to their program, and a request that waits for them.
func TestSlowStartEnds(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	for how, end := range map[string]func(s *server){
		"owner-gone": func(s *server) { s.closeInput() },
		"killed": func(s *server) {
			s.send("list", nil)
			s.must(unix.Kill(s.pid(), unix.SIGTERM))
		},
		"hung up": func(s *server) {
			s.send("list", nil)
			s.hangUp()
		},
	} {
		t.Run(how, func(t *testing.T) {
			_, program, s := slowServer(t, socket)
			var ids []float64
			for range 3 {
				ids = append(ids, s.send("spawn", object{"argv": []string{program.path, "1000"}}))
				program.await()
			}
			end(s)
			if how == "hung up" {
				if code := s.wait(); code != 1 {
					t.Errorf("status %d, want 1", code)
				}
			} else {
				for _, id := range ids {
					j := s.spawned(id)
					j.told("started")
					if m := j.told("exited"); m["signal"] != "SIGKILL" {
						t.Errorf("exited: %s", text(m))
					}
					j.ended(how)
				}
				if m := s.next(); m != nil || s.wait() != 0 {
					t.Errorf("at the end %s, status %d", text(m), s.wait())
				}
			}
			program.answer(unix.FAN_ALLOW)
		})
	}
}

// TestSlowStartThenEnd: what was asked for before the end of input is carried out before it.
func TestSlowStartThenEnd(t *testing.T) {
	testbed.Need(t, "a cgroup of our own", noGroup)
	for _, via := range []transport{pipes, socket} {
		t.Run(string(via), func(t *testing.T) {
			_, program, s := slowServer(t, via)
			half := s.spawn(nil, "sleep", "0.5")
			id := s.send("spawn", object{"argv": []string{program.path, "1000"}})
			list := s.send("list", nil)
			s.closeInput()
			program.await()
			before := s.ticks()
			half.ended("exited")
			if spent := s.ticks() - before; spent > 10 {
				t.Errorf("while it waits it took %d ticks of the processor in half a second", spent)
			}
			program.answer(unix.FAN_ALLOW)
			j := s.spawned(id)
			if all := s.answer(list)["result"].(object)["jobs"].([]any); len(all) != 1 {
				t.Errorf("the list is %s", text(all))
			}
			j.ended("owner-gone")
			for m := s.next(); m != nil; m = s.next() {
			}
			s.seen = nil
			if code := s.wait(); code != 0 {
				t.Errorf("status %d", code)
			}
		})
	}
}

// TestSlowStartFiles: what is slow to be executed holds no descriptor of another job's, nor the guardian's: the output of that one
// ends with it, and everything ends with the server.
func TestSlowStartFiles(t *testing.T) {
	_, program, s := slowServer(t, socket)
	long := s.spawn(nil, "sleep", "1000")
	before := len(s.fds)
	first := request(s.ids+1, "spawn", object{"argv": []string{"true"}, "stdio": []any{"null", "pipe"}})
	second := request(s.ids+2, "spawn", object{"argv": []string{program.path, "1000"}})
	s.ids += 2
	s.write(first + second)
	j := s.spawned(float64(s.ids - 1))
	j.ended("exited")
	program.await()
	out := s.take(len(s.fds) - before)[0]
	out.SetReadDeadline(time.Now().Add(patience))
	if n, err := out.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes of output, %v", n, err)
	}
	out.Close()
	s.must(unix.Kill(s.pid(), unix.SIGKILL))
	if !awaitEnd(long.pid, patience) {
		t.Error("a job has outlived the server")
	}
	s.wait()
	program.answer(unix.FAN_ALLOW)
}

// TestSlowStartSilentOwner: the end of input is heard, though a request waits for a start and the owner does not read.
func TestSlowStartSilentOwner(t *testing.T) {
	_, program, s := slowServer(t, socket)
	long := s.spawn(nil, "sleep", "1000")
	s.spawn(object{"stdio": []any{"null", object{"capture": object{"limit": -1, "wait": true}}}}, "cat", "/dev/zero")
	// Nobody reads from here on. What there is room for is soon full.
	slow := s.send("spawn", object{"argv": []string{program.path, "1000"}})
	list := s.send("list", nil)
	program.await()
	testbed.Eventually(t, patience, "filling the connection", func() error {
		before := s.ticks()
		time.Sleep(100 * time.Millisecond)
		if s.ticks() > before {
			return errors.New("the server is at work")
		}
		return nil
	})
	program.answer(unix.FAN_ALLOW)
	s.closeInput()
	if !awaitEnd(long.pid, patience) {
		t.Error("the job lives on")
	}
	s.answer(slow)
	s.answer(list)
	long.ended("owner-gone")
	for m := s.next(); m != nil; m = s.next() {
	}
	s.seen = nil
	if code := s.wait(); code != 0 {
		t.Errorf("status %d", code)
	}
}

// TestManyStarts: many starts at once are answered in their order, those included that fail, at any point.
func TestManyStarts(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		for name, content := range map[string]string{"script": "exit 3", "lost": "#!/nowhere/there\n"} {
			if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		kinds := []struct {
			params object
			want   string // in the answer
			code   float64
		}{
			{object{"argv": []string{"true"}}, `"result"`, 0},
			{object{"argv": []string{filepath.Join(b.dir, "script")}}, `"result"`, 3},
			{object{"argv": []string{filepath.Join(b.dir, "lost")}}, `-32005`, 0},
			{object{"argv": []string{"/nowhere"}}, `-32005`, 0},
			{object{"argv": []string{"sh", "-c", "exit 4"}, "cwd": "/"}, `"result"`, 4},
			{object{"argv": []string{"/"}}, `-32006`, 0},
			{object{"argv": []string{}}, `-32602`, 0},
		}
		s := b.serve(c, socket)
		s.hello()
		const rounds = 20
		var ids []float64
		for range rounds {
			for _, k := range kinds {
				ids = append(ids, s.send("spawn", k.params))
			}
		}
		for i, id := range ids {
			k := kinds[i%len(kinds)]
			m := s.answer(id)
			if !strings.Contains(text(m), k.want) {
				t.Errorf("the answer to %s is %s", text(k.params), text(m))
			} else if k.want == `"result"` {
				j := &job{s: s, number: m["result"].(object)["job"].(float64)}
				j.told("started")
				if m := j.told("exited"); m["code"] != k.code {
					t.Errorf("%s: exited: %s", text(k.params), text(m))
				}
				j.ended("exited")
			}
		}
		if !slices.IsSorted(s.answered) {
			t.Errorf("answers in the order %v", s.answered)
		}
		s.end()
	})
}
