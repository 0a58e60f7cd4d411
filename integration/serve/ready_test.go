package serve

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// notifier says something at NOTIFY_SOCKET.
const notifier = `import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for message in sys.argv[1:]:
    s.sendto(os.fsencode(message), "\0" + os.environ["NOTIFY_SOCKET"][1:])
`

// TestReady: a job that says that it is ready is told to be, once, with its status; also one that ends at once.
func TestReady(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		python := testbed.Program(t, "python3")
		s := newBox(t).serve(c, pipes)
		s.hello()
		params := object{"notify": []string{"ready"}}
		for range 2 {
			j := s.spawn(params, python, "-c", notifier, "STATUS=early", "STATUS=up\nREADY=1\nMAINPID=1", "READY=1")
			started, ready, exited := j.told("started"), j.told("ready"), j.told("exited")
			if ready["status"] != "up" || ready["pid"] != float64(j.pid) || started["pid"] != ready["pid"] || exited["code"] != 0.0 {
				t.Errorf("%s", text(ready))
			}
			j.ended("exited")
		}
		j := s.spawn(params, python, "-c", notifier, "STATUS=1", "STATUS=2", "STATUS=3", "STATUS=4", "STATUS=5", "STATUS=6", "STATUS=7", "READY=1")
		if ready := j.told("ready"); ready["status"] != "7" {
			t.Errorf("%s", text(ready))
		}
		j.ended("exited")
		if os.Geteuid() == 0 {
			j = s.spawn(params, python, "-c", "import os, socket, sys; os.setuid(65534)\n"+notifier, "READY=1")
			j.told("ready")
			j.ended("exited")
		}
		j = s.spawn(params, "true")
		j.ended("exited") // it never was: nothing hangs
		many := s.spawn(params, python, "-c", notifier+"for i in range(1000): s.sendto(b'STATUS=x', '\\0' + os.environ['NOTIFY_SOCKET'][1:])", "READY=1")
		many.told("ready")
		many.ended("exited") // none of its messages has blocked it
		for _, m := range s.seen {
			if m["method"] == "ready" {
				t.Errorf("once more: %s", text(m))
			}
		}
		s.end()
	})
}

// TestReadyAndGone: what a main process of another user has said counts, though it has ended before the server hears it.
func TestReadyAndGone(t *testing.T) {
	become := "" // of this user all that is sent counts
	if unix.Geteuid() == 0 {
		become = "; os.setuid(65534)"
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		python := testbed.Program(t, "python3")
		s := newBox(t).serve(c, pipes)
		s.hello()
		fifo := filepath.Join(t.TempDir(), "go")
		s.must(unix.Mkfifo(fifo, 0o600))
		j := s.spawn(object{"notify": []string{"ready"}}, python, "-c", "import os, socket, sys; open('"+fifo+"').read()"+become+"\n"+notifier, "READY=1")
		goOn, err := os.OpenFile(fifo, os.O_WRONLY, 0) // when the job has opened it
		s.must(err)
		s.must(unix.Kill(s.pid(), unix.SIGSTOP))
		goOn.Close()
		testbed.Eventually(t, patience, "the end of the main process", func() error {
			if alive(j.pid) {
				return errors.New("it is alive")
			}
			return nil
		})
		s.must(unix.Kill(s.pid(), unix.SIGCONT))
		if ready := j.told("ready"); ready["pid"] != float64(j.pid) {
			t.Errorf("%s", text(ready))
		}
		j.ended("exited")
		s.end()
	})
}

// TestReadyOfPipeline: each command of a pipeline has the socket.
func TestReadyOfPipeline(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		python := testbed.Program(t, "python3")
		s := newBox(t).serve(c, pipes)
		s.hello()
		j := s.pipeline(object{"notify": []string{"ready"}}, sh("true"), object{"argv": []string{python, "-c", notifier, "READY=1"}})
		j.told("ready")
		j.ended("exited")
		s.end()
	})
}

// TestReadyForged: a process of another user cannot say so for the job.
func TestReadyForged(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Log("not root: another user is not to be had; root's run has it")
		return
	}
	python := testbed.Program(t, "python3")
	s := newBox(t).serve(inSubreaper, pipes)
	s.hello()
	j := s.shell(object{"notify": []string{"ready"}, "stdio": []any{"null", "capture"}}, "echo $NOTIFY_SOCKET; exec sleep 1000")
	name := s.part(j.told("output"))
	forge := s.spawn(object{"env_update": object{"NOTIFY_SOCKET": name[:len(name)-1]}}, python, "-c", "import os, socket, sys; os.setuid(65534)\n"+notifier, "READY=1")
	if forge.ended("exited")["exit"].(object)["code"] != 0.0 {
		t.Fatal("the forger did not come to it")
	}
	// What it has sent is in the socket; a second message shows that the first was passed over.
	own := s.spawn(object{"env_update": object{"NOTIFY_SOCKET": name[:len(name)-1]}}, python, "-c", notifier, "STATUS=own\nREADY=1")
	own.ended("exited")
	if ready := j.told("ready"); ready["pid"] != float64(own.pid) {
		t.Errorf("forged: %s", text(ready))
	}
	j.kill()
	s.end()
}
