package guardian

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readable waits until the sentinel has something to say.
func readable(t *testing.T, s *Sentinel) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 60_000)
		switch {
		case err == unix.EINTR:
		case n != 1 || err != nil:
			t.Fatalf("the sentinel says nothing: %d, %v", n, err)
		default:
			return
		}
	}
}

// TestSentinel: it hands on the signals that it was given, with their sender, and no other; its death is a SIGKILL.
func TestSentinel(t *testing.T) {
	s, err := Post([]unix.Signal{unix.SIGTERM, unix.Signal(40)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Dismiss()
	if sig, from := s.Read(); sig != 0 || from != 0 {
		t.Errorf("before anything was sent: %v from %d", sig, from)
	}
	for _, sig := range []unix.Signal{unix.SIGUSR1, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.Signal(40)} {
		if err := unix.Kill(s.PID(), sig); err != nil {
			t.Fatal(err)
		}
		if sig != unix.SIGTERM && sig != 40 {
			continue
		}
		readable(t, s)
		if got, from := s.Read(); got != sig || from != os.Getpid() {
			t.Errorf("%v from %d, want %v from %d", got, from, sig, os.Getpid())
		}
	}
	if comm, _ := os.ReadFile("/proc/" + strconv.Itoa(s.PID()) + "/comm"); string(comm) != "sentinel\n" {
		t.Errorf("its name is %q", comm)
	}
	unix.Kill(s.PID(), unix.SIGKILL)
	readable(t, s)
	if sig, from := s.Read(); sig != unix.SIGKILL || from != 0 {
		t.Errorf("after its death: %v from %d", sig, from)
	}
}

// TestSentinelDescriptors: it keeps its socket and its signalfd, and nothing of this process.
func TestSentinelDescriptors(t *testing.T) {
	r, _ := pipe(t)
	s, err := Post([]unix.Signal{unix.SIGTERM})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Dismiss()
	unix.Kill(s.PID(), unix.SIGTERM)
	readable(t, s) // now it has closed all others
	dir := "/proc/" + strconv.Itoa(s.PID()) + "/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range entries {
		target, _ := os.Readlink(dir + e.Name())
		kind, _, _ := strings.Cut(target, ":")
		kinds = append(kinds, kind)
	}
	if len(kinds) != 2 || !strings.Contains(strings.Join(kinds, " "), "socket") || !strings.Contains(strings.Join(kinds, " "), "anon_inode") {
		t.Errorf("open are %q; fd %d is this process's", kinds, r.Fd())
	}
}

// TestSentinelAlone: it ends with this process, whose end of the socket is then closed, also while it has more to say than is read.
func TestSentinelAlone(t *testing.T) {
	s, err := Post([]unix.Signal{unix.SIGTERM, unix.Signal(40)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 { // real-time signals queue
		if unix.Kill(s.PID(), 40) != nil {
			break
		}
	}
	s.Dismiss() // waits for it
	if err := unix.Kill(s.PID(), 0); err != unix.ESRCH {
		t.Errorf("it lives: %v", err)
	}
}
