package systemd

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// becomeSeed starts children, then becomes supervise without arguments and without an environment, as the seed's clients do.
// Descriptor 3 gets a byte when the children run.
const becomeSeed = `
import ctypes, os, sys
for i in range(int(sys.argv[2])):
    if os.fork() == 0:
        os.execv("/bin/sh", ["sh", "-c", sys.argv[3]])
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.write(3, b".")
os.close(3)
os.execve(sys.argv[1], ["supervise"], {})
`

// A seedOwner is the owner of a supervise without arguments.
type seedOwner struct {
	*exec.Cmd
	in  *os.File // requests
	out *os.File // events
}

func startSeed(t *testing.T, children int, script string) *seedOwner {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal(err)
	}
	c := command(t, "python3", "-c", becomeSeed, program("supervise"), strconv.Itoa(children), script)
	in, requests, err1 := os.Pipe()
	events, out, err2 := os.Pipe()
	ready, told, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = in, out, os.Stderr, []*os.File{told}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{in, out, told} {
		f.Close()
	}
	ready.Read(make([]byte, 1))
	ready.Close()
	t.Cleanup(func() { requests.Close(); events.Close() })
	return &seedOwner{c, requests, events}
}

// children are the live children of the supervisor of this name.
func (s *seedOwner) children(t *testing.T, name string) (pids []int) {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(s.Process.Pid) + "/task/" + strconv.Itoa(s.Process.Pid) + "/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(b)) {
		comm, _ := os.ReadFile("/proc/" + word + "/comm")
		if pid, _ := strconv.Atoi(word); string(comm) == name+"\n" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// end closes the owner's end and wants a quick exit.
func (s *seedOwner) end(t *testing.T) {
	t.Helper()
	s.in.Close()
	go io.Copy(io.Discard, s.out) // ends with supervise
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSeed: children that fork all the time end up in the job, in a scope.
func TestSeed(t *testing.T) {
	asUser(t)
	s := startSeed(t, 3, "while :; do sleep 0.01; done")
	testbed.Eventually(t, patience, "children in the job", func() error {
		pids := s.children(t, "sh")
		if len(pids) != 3 {
			return errors.New("not all there")
		}
		for _, pid := range pids {
			own, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
			if err != nil || !inScope("app.slice").MatchString(strings.TrimSpace(string(own))) {
				return errors.New(string(own))
			}
		}
		return nil
	})
	s.end(t)
}

// TestSeedServedMeanwhile: while the manager keeps supervise waiting, requests are obeyed and events told; kill -9 then ends
// the job as well, and so does the owner.
func TestSeedServedMeanwhile(t *testing.T) {
	for _, how := range []string{"owner goes", "kill -9"} {
		t.Run(how, func(t *testing.T) {
			asUser(t)
			stopManager(t)
			s := servedMeanwhile(t)
			if how == "owner goes" {
				s.end(t)
				return
			}
			testbed.Eventually(t, patience, "a guardian", func() error {
				if own, _ := filepath.Glob("/proc/[0-9]*/comm"); !anyIs(own, "guardian\n") {
					return errors.New("none")
				}
				return nil
			})
			s.Process.Kill()
			s.Wait()
		})
	}
}

// servedMeanwhile is a supervise that has obeyed a request and told of it while it asked the manager. It asks for 5 s: where
// the machine is too slow for that, another one may be faster.
func servedMeanwhile(t *testing.T) *seedOwner {
	t.Helper()
	for range 5 {
		s := startSeed(t, 3, "sleep "+sleeper+"; true")
		var pids []int
		testbed.Eventually(t, patience, "children", func() error {
			if pids = s.children(t, "sh"); len(pids) != 3 {
				return errors.New("not all there")
			}
			return nil
		})
		binary.Write(s.in, binary.NativeEndian, [2]int32{int32(pids[0]), int32(syscall.SIGKILL)})
		event := make([]byte, 128)
		s.out.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(s.out, event); err != nil || int(binary.NativeEndian.Uint32(event[16:])) != pids[0] {
			t.Fatalf("event %v: %v", event, err)
		}
		if len(s.children(t, "supervise-scope")) > 0 {
			return s
		}
		s.end(t)
	}
	t.Fatal("nothing happens while the manager is asked")
	return nil
}

func anyIs(files []string, content string) bool {
	for _, f := range files {
		if b, _ := os.ReadFile(f); string(b) == content {
			return true
		}
	}
	return false
}
