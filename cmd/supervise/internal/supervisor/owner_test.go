package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
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
	gone := 0
	s.Owner.Gone = func() { gone++; g.Signal(unix.SIGINT) }
	requests.WriteString("rubbish")
	s.Idle = func() {
		if gone > 0 {
			t.Error("gone, though it has only said something")
		}
		requests.Close()
	}
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

// TestRequest signals a child, living or zombie, and no other process.
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

// fill fills a pipe to the last byte.
func fill(t *testing.T, fd int) (size int) {
	t.Helper()
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Write(fd, make([]byte, size)); n != size {
		t.Fatal(n, err)
	}
	return size
}

// TestStalledOwnerGone: of an owner that takes no events it is seen all the same that
// it goes, and its jobs end.
func TestStalledOwnerGone(t *testing.T) {
	s, g := newTest(t)
	requests, events := connect(t, s)
	fill(t, s.Owner.Out)
	other := child(t, "true") // its end cannot be told
	await(t, other, unix.WEXITED)
	j := start(t, s, shell(g, "exec sleep 20"))
	s.Idle = func() {
		if !s.undelivered() {
			t.Error("all is told")
		}
		requests.Close()
	}
	s.Trace = func(e TraceEvent) {
		if e.What == "owner gone" {
			events.Close()
		}
	}
	if r := s.Run()[0]; r.Cause != protocol.CauseOwnerGone || status(r) != int(unix.SIGKILL) {
		t.Errorf("job %d: cause %s, exit %d", j.PID(), r.Cause, status(r))
	}
}

// TestRubbish: requests that end within one end the jobs, with an error.
func TestRubbish(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	requests.Write(make([]byte, 4096))
	requests.WriteString("rubbish")
	requests.Close()
	if r := run(t, s, shell(g, "exec sleep 20")); r.Cause != protocol.CauseOwnerGone || failure(r) == "" {
		t.Errorf("%s, %q", r.Cause, failure(r))
	}
}

// talk gives s an owner at the other end of a socket that keeps messages.
func talk(t *testing.T, s *Supervisor, kind int) (owner int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	s.Owner = &Owner{In: pair[0], Out: pair[0]}
	return pair[1]
}

// TestShortMessage: a message that is shorter than a request ends the jobs at once, as the
// rest of it cannot come.
func TestShortMessage(t *testing.T) {
	s, g := newTest(t)
	owner := talk(t, s, unix.SOCK_SEQPACKET)
	unix.Write(owner, []byte{1, 2, 3})
	if r := run(t, s, shell(g, "exec sleep 20")); r.Cause != protocol.CauseOwnerGone || failure(r) == "" {
		t.Errorf("%s, %q", r.Cause, failure(r))
	}
}

// TestNonsense: what means nothing is counted, and ends nothing; what comes after it is
// done.
func TestNonsense(t *testing.T) {
	for name, kind := range map[string]int{"seqpacket": unix.SOCK_SEQPACKET, "datagrams": unix.SOCK_DGRAM} {
		t.Run(name, func(t *testing.T) {
			s, g := newTest(t)
			owner := talk(t, s, kind)
			start(t, s, shell(g, "exec sleep 20"))
			send := func(b []byte) {
				if err := unix.Sendto(owner, b, 0, nil); err != nil {
					t.Fatal(err)
				}
			}
			request := func(sig int32) []byte {
				return protocol.AppendRequest(nil, protocol.Request{PID: int32(g.leader), Signal: sig})
			}
			send(request(65))
			send(nil)
			send(append(request(0), 1, 2, 3))
			long := make([]byte, 5000) // longer than what is read at once
			send(long)
			send(request(int32(unix.SIGINT)))
			if r := s.Run()[0]; status(r) != int(unix.SIGINT) || failure(r) != "" {
				t.Errorf("exit %d, %q", status(r), failure(r))
			}
			if n, first := s.Owner.Decoder.Ignored(); n != 4 || first == nil {
				t.Errorf("ignored %d, first %v", n, first)
			}
		})
	}
}

// TestEmptyThenGone: an empty message is not the end, and the end after it is; also of an
// owner that says nothing.
func TestEmptyThenGone(t *testing.T) {
	for _, mute := range []bool{false, true} {
		s := &Supervisor{}
		owner := talk(t, s, unix.SOCK_SEQPACKET)
		o := s.Owner
		o.Mute = mute
		o.open()
		unix.Sendto(owner, nil, 0, nil)
		if list, err := o.read(); len(list) != 0 || err != nil || !o.listens() {
			t.Errorf("mute %t: %v, %v, listens %t", mute, list, err, o.listens())
		}
		unix.Shutdown(owner, unix.SHUT_WR)
		if list, err := o.read(); len(list) != 0 || err != nil || o.listens() {
			t.Errorf("mute %t: %v, %v, listens %t", mute, list, err, o.listens())
		}
	}
}

// TestWholeRequest: a request for pid -1 is for every process, where that is the rule.
func TestWholeRequest(t *testing.T) {
	s, g := newTest(t)
	requests, _ := connect(t, s)
	s.Whole = true
	binary.Write(requests, binary.NativeEndian, protocol.Request{PID: -1, Signal: int32(unix.SIGINT)})
	if r := run(t, s, shell(g, "exec sleep 20")); status(r) != int(unix.SIGINT) {
		t.Errorf("exit %d", status(r))
	}
}

// TestPartly: an event for which there is no room at once is told in parts, whole and
// with what is appended of the usage.
func TestPartly(t *testing.T) {
	s, g := newTest(t)
	_, events := connect(t, s)
	const appended = 6000 // more than a page, which a pipe would take whole or not at all
	s.Owner.Encode = func(e *protocol.Event, u *unix.Rusage) []byte {
		if u.Minflt == 0 {
			t.Error("no usage")
		}
		return append(slices.Clone(e[:]), bytes.Repeat([]byte{'u'}, appended)...)
	}
	size := fill(t, s.Owner.Out)
	io.ReadFull(events, make([]byte, 4096)) // room for a part
	got := make(chan []byte)
	s.Idle = func() {
		go func() { // ends with what was told
			b := make([]byte, size-4096+protocol.EventSize+appended)
			n, _ := io.ReadFull(events, b)
			got <- b[size-4096 : max(n, size-4096)]
		}()
	}
	start(t, s, shell(g, "exit 3"))
	s.Run()
	b := <-got
	var e protocol.Event
	if copy(e[:], b); e.PID() != g.leader || e.Status() != 3 || bytes.Count(b, []byte{'u'}) < appended {
		t.Errorf("%d bytes, of pid %d, status %d", len(b), e.PID(), e.Status())
	}
}

// TestFirstAndLast are told around the events, however full the pipe is.
func TestFirstAndLast(t *testing.T) {
	s, g := newTest(t)
	_, events := connect(t, s)
	s.Owner.First, s.Owner.Last = "first", []string{"last", "and very last"}
	s.Owner.Encode = func(*protocol.Event, *unix.Rusage) []byte { return []byte(" event ") }
	size, emptied := fill(t, s.Owner.Out), make(chan struct{})
	s.Idle = func() {
		go func() { // ends with what has filled the pipe
			io.ReadFull(events, make([]byte, size))
			close(emptied)
		}()
	}
	run(t, s, shell(g, "exit 0"))
	<-emptied
	b := make([]byte, 100)
	n, _ := events.Read(b)
	if !strings.HasPrefix(string(b[:n]), "first event ") || !strings.HasSuffix(string(b[:n]), " event lastand very last") {
		t.Errorf("told %q", b[:n])
	}
}

// TestDeafOwner: once it takes no more, nothing is kept for it.
func TestDeafOwner(t *testing.T) {
	s := &Supervisor{}
	_, events := connect(t, s)
	s.Owner.open()
	events.Close()
	s.Owner.tell(protocol.NewEvent(protocol.Exited, 1, 0, 0), nil)
	if s.Owner.Out >= 0 || s.Owner.undelivered() {
		t.Error("told again")
	}
	s.Owner.unsent = []byte("x")
	if s.Owner.deafen(); s.Owner.undelivered() {
		t.Error("kept for an owner that is deaf")
	}
}

// TestOwnerSilent: descriptors of -1 are none.
func TestOwnerSilent(t *testing.T) {
	s, g := newTest(t)
	s.Owner = &Owner{In: -1, Out: -1}
	s.Owner.Encode = func(*protocol.Event, *unix.Rusage) []byte { t.Error("told"); return nil }
	if s.Owner.listens() {
		t.Error("listens to nothing")
	}
	if r := run(t, s, shell(g, "exit 0")); r.Cause != protocol.CauseExited {
		t.Error(r.Cause)
	}
}

// TestOwnerEnd: no request yet is not the end of them, which is told once.
func TestOwnerEnd(t *testing.T) {
	s := &Supervisor{}
	requests, _ := connect(t, s)
	o := s.Owner
	o.open()
	if list, err := o.read(); len(list) != 0 || err != nil || !o.listens() {
		t.Errorf("%v, %v, listens %t", list, err, o.listens())
	}
	requests.Close()
	if list, err := o.read(); len(list) != 0 || err != nil || o.listens() {
		t.Errorf("%v, %v, listens %t", list, err, o.listens())
	}
}

// TestFlush is done when all is told, and not before.
func TestFlush(t *testing.T) {
	s := &Supervisor{}
	_, events := connect(t, s)
	o := s.Owner
	o.open()
	size := fill(t, o.Out)
	if o.tell(protocol.NewEvent(protocol.Exited, 5, 0, 0), nil); o.flush() || !o.undelivered() {
		t.Error("done, though there is no room")
	}
	io.ReadFull(events, make([]byte, size))
	if !o.flush() || o.undelivered() {
		t.Error("not done, though there is room")
	}
}
