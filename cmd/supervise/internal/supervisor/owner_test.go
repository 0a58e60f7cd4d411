package supervisor

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

// connect gives s an owner at the other end of two pipes.
func connect(t *testing.T, s *Supervisor) (requests, events *os.File) {
	t.Helper()
	in, requests, err1 := os.Pipe()
	events, out, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in, out, requests, events} {
			f.Close()
		}
	})
	s.Owner = &Owner{In: int(in.Fd()), Out: int(out.Fd())}
	return requests, events
}

func TestOwnerGone(t *testing.T) {
	for _, said := range []string{"", "rubbish"} {
		s, g := newTest(t)
		requests, _ := connect(t, s)
		requests.WriteString(said)
		requests.Close()
		r := run(t, s, shell(g, "exec sleep 100"))
		if r.Cause != protocol.CauseOwnerGone || (r.Error == nil) != (said == "") || status(r) != 9 {
			t.Errorf("%q: cause %s, error %v, exit %d", said, r.Cause, r.Error, status(r))
		}
	}
}

// TestMuteOwner: what it says means nothing, and its end what Gone makes of it.
func TestMuteOwner(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	s.Owner.Mute = true
	s.Owner.Gone = func() { g.Signal(unix.SIGINT) }
	requests.WriteString("rubbish")
	requests.Close()
	if r := run(t, s, shell(g, "exec sleep 100")); status(r) != int(unix.SIGINT) || r.Error != nil {
		t.Errorf("exit %d, %v", status(r), r.Error)
	}
}

// TestBackpressure has an owner whose pipe is full: until it reads nothing but the
// first child is reaped, and then every event comes in order.
func TestBackpressure(t *testing.T) {
	const children = 200
	s, g := newTest(t)
	runtime.LockOSThread() // the kernel keeps a list of children for each thread, in the order of birth
	defer runtime.UnlockOSThread()
	_, events := connect(t, s)
	size, err := unix.FcntlInt(uintptr(s.Owner.Out), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Write(s.Owner.Out, make([]byte, size))
	var pids []int
	for range children {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		waitid(unix.P_PID, pid, unix.WEXITED|unix.WNOWAIT, nil) // in this order
	}
	if _, err := s.Start(Spec{Containment: g}); err != nil {
		t.Fatal(err)
	}
	done := make(chan []int)
	s.Idle = func() { // the loop has done all it can
		if _, err := waitid(unix.P_PID, pids[1], unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil {
			t.Errorf("the second was reaped though the first was not told: %v", err)
		}
		go func() { // ends with the events
			io.ReadFull(events, make([]byte, size))
			var got []int
			var e protocol.Event
			for range children {
				io.ReadFull(events, e[:])
				got = append(got, e.PID())
			}
			done <- got
		}()
	}
	r := s.Run()[0]
	if got := <-done; !slices.Equal(got, pids) {
		t.Errorf("events of %v, want %v", got, pids)
	}
	if r.Reaped != children {
		t.Errorf("%d reaped", r.Reaped)
	}
}

// TestDeaf: who is deaf does not hold up the end.
func TestDeaf(t *testing.T) {
	s, g := newTest(t)
	_, events := connect(t, s)
	events.Close()
	if r := run(t, s, shell(g, "exit 0")); r.Cause != protocol.CauseExited {
		t.Error(r.Cause)
	}
}

// TestRequest signals a child, living or zombie, and nobody else.
func TestRequest(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	if _, err := s.Start(shell(g, "exec sleep 100")); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int32{1, -1, 0, int32(os.Getpid()), 1 << 30, int32(g.leader)} {
		binary.Write(requests, binary.NativeEndian, protocol.Request{PID: pid, Signal: int32(unix.SIGINT)})
	}
	if r := s.Run()[0]; status(r) != int(unix.SIGINT) {
		t.Errorf("ended by %d", status(r))
	}
}
