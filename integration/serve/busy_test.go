package serve

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEndAndRequest: a job's end that the owner does not take at once, and a request, found by the same look at both. The
// server is stopped meanwhile, so that it finds both.
func TestEndAndRequest(t *testing.T) {
	forEachContainment(t, func(t *testing.T, c containment) {
		s := newBox(t).serve(c, socket)
		s.write(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}` + "\n")
		s.next()
		tag := strings.Repeat("x", 900_000) // comes back in ended, and does not fit into the socket
		s.write(`{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["sleep","1000"],"tags":{"long":"` + tag + `"}}}` + "\n")
		pid := int(s.next()["result"].(object)["pid"].(float64))
		s.next() // started

		s.must(unix.Kill(s.pid(), unix.SIGSTOP))
		var status unix.WaitStatus
		if _, err := unix.Wait4(s.pid(), &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatal(status, err)
		}
		s.must(unix.Kill(pid, unix.SIGKILL))
		s.write(`{"jsonrpc":"2.0","id":3,"method":"spawn","params":{"argv":["true"]}}` + "\n")
		s.must(unix.Kill(s.pid(), syscall.SIGCONT))

		for {
			m := s.next()
			if m == nil {
				t.Fatal("the end of output, and no answer")
			}
			if m["id"] == float64(3) {
				if m["error"] != nil {
					t.Fatal(text(m))
				}
				break
			}
		}
		s.closeInput()
		for s.next() != nil {
		}
		if code := s.wait(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}
