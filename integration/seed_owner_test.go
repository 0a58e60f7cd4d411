package integration

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// A transport is what connects owner and supervise.
type transport string

const (
	seqpacket transport = "seqpacket"
	stream    transport = "stream"
	pipes     transport = "pipes"
)

// A seed is a supervise without arguments, seen by its owner.
type seed struct {
	*proc
	t        *testing.T
	via      transport
	requests *os.File // nil once closed
	events   *os.File // nil once closed; the same as requests for a socket
	pids     []int    // the children, in the order of their start
	lines    *output  // what they print
}

// startSeed starts supervise with the children of the spec. Its cgroup is the box's; in the fallback it can write none.
func (b *box) startSeed(c containment, via transport, spec seedSpec) *seed {
	b.t.Helper()
	s := &seed{t: b.t, via: via}
	l := s.connect()
	lines, report := s.pipe(&l), s.pipe(&l)
	s.lines = collect(lines)
	b.t.Cleanup(s.close)
	spec.Supervise = bin.supervise
	b.confine(c, &l, &spec)
	text, err := json.Marshal(spec)
	s.must(err)
	exe, err := os.Executable()
	s.must(err)
	l.argv, l.env, l.dir = []string{exe}, []string{seedStarter + "=" + string(text)}, b.dir
	// A group of its own with a parent outside of it: were we a session's leader, it would be an orphaned one, whose processes
	// the kernel does not stop on SIGTSTP.
	l.attr.Setpgid = true
	l.deadline = 3 * time.Minute // it may start thousands of children
	s.proc = b.start(l)
	if spec.same != nil {
		*spec.same = [2]*os.File{l.stdin, l.stdout}
	} else {
		closeAll([]*os.File{l.stdin, l.stdout})
	}
	closeAll(l.extra)
	defer report.Close()
	if err := json.NewDecoder(report).Decode(&s.pids); err != nil {
		s.t.Fatalf("starting the children: %v; stderr: %s", err, s.stderr)
	}
	if _, err := io.Copy(io.Discard, report); err != nil { // EOF: it executes supervise
		s.t.Fatal(err)
	}
	return s
}

// connect makes the descriptors 0 and 1 of supervise.
func (s *seed) connect() launch {
	if s.via == pipes {
		r, w, err := os.Pipe()
		s.must(err)
		er, ew, err := os.Pipe()
		s.must(err)
		s.requests, s.events = w, er
		return launch{stdin: r, stdout: ew}
	}
	kind := unix.SOCK_SEQPACKET
	if s.via == stream {
		kind = unix.SOCK_STREAM
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	s.must(err)
	s.must(unix.SetNonblock(fds[0], true)) // for the deadlines of our end; the other end is another description
	twin, err := unix.FcntlInt(uintptr(fds[1]), unix.F_DUPFD_CLOEXEC, 0)
	s.must(err)
	ours := os.NewFile(uintptr(fds[0]), "control")
	s.requests, s.events = ours, ours
	return launch{stdin: os.NewFile(uintptr(fds[1]), "fd 0"), stdout: os.NewFile(uintptr(twin), "fd 1")}
}

// pipe hands a write end to the starter and returns the read end.
func (s *seed) pipe(l *launch) *os.File {
	r, w, err := os.Pipe()
	s.must(err)
	l.extra = append(l.extra, w)
	return r
}

func (s *seed) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// confine takes the cgroups away for the fallback: there is no flag for it without arguments.
func (b *box) confine(c containment, l *launch, spec *seedSpec) {
	if c == inCgroup || b.group == nil {
		return
	}
	mount, err := testbed.Mount()
	if err != nil {
		b.t.Fatal(err)
	}
	spec.ReadOnly = mount
	l.attr.Cloneflags = unix.CLONE_NEWNS
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		testbed.Need(b.t, "a user namespace, to make cgroups read-only", probeUserNamespace())
		l.attr.Cloneflags |= unix.CLONE_NEWUSER
		l.attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		l.attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		l.attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
}

func probeUserNamespace() error {
	return exec.Command("unshare", "--user", "--mount", "true").Run()
}

// send writes a request.
func (s *seed) send(pid int, sig syscall.Signal) {
	s.t.Helper()
	s.write(request(pid, int(sig)))
}

func (s *seed) write(b []byte) {
	s.t.Helper()
	if _, err := s.requests.Write(b); err != nil {
		s.t.Fatalf("writing a request: %v; stderr: %s", err, s.stderr)
	}
}

// sendRaw writes bytes, which on a socket that keeps messages are one, though they may be none.
func (s *seed) sendRaw(b []byte) {
	s.t.Helper()
	if len(b) > 0 {
		s.write(b)
		return
	}
	conn, err := s.requests.SyscallConn()
	s.must(err)
	conn.Control(func(fd uintptr) { err = unix.Sendto(int(fd), nil, 0, nil) })
	s.must(err)
}

// next reads an event; false at the end.
func (s *seed) next() (event, bool) {
	s.t.Helper()
	s.events.SetReadDeadline(time.Now().Add(startDeadline))
	buf := make([]byte, 2*eventSize) // room to see a message that is too long
	var n int
	var err error
	if s.via == seqpacket {
		n, err = s.events.Read(buf)
	} else {
		n, err = io.ReadFull(s.events, buf[:eventSize])
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) { // reset: it left a request unread
		return event{}, false
	}
	if err != nil {
		s.t.Fatalf("reading an event: %v; stderr: %s", err, s.stderr)
	}
	e, err := parseEvent(buf[:n])
	if err != nil {
		s.t.Error(err)
	}
	return e, true
}

// want reads the next events and compares them.
func (s *seed) want(events ...event) {
	s.t.Helper()
	for _, w := range events {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("no more events, want %v; stderr: %s", w, s.stderr)
		}
		if e != w {
			s.t.Fatalf("event: %v, want: %v", e, w)
		}
	}
}

// drain reads the events that are left, by pid.
func (s *seed) drain() map[int]event {
	s.t.Helper()
	all := map[int]event{}
	for {
		e, ok := s.next()
		if !ok {
			return all
		}
		if old, twice := all[e.pid]; twice && old.code != cldStopped && old.code != cldContinued {
			s.t.Errorf("event %v after %v", e, old)
		}
		all[e.pid] = e
	}
}

// wantExit reads the end of the events and waits for supervise.
func (s *seed) wantExit(code int) outcome {
	s.t.Helper()
	if e, ok := s.next(); ok {
		s.t.Errorf("one event more: %v", e)
	}
	o := s.wait()
	o.wantCode(code)
	return o
}

// kill has supervise kill a child and reads the event. All that was requested before has been done by then.
func (s *seed) kill(pid int) {
	s.t.Helper()
	s.send(pid, syscall.SIGKILL)
	s.want(event{cldKilled, pid, int(syscall.SIGKILL)})
}

// closeRequests ends fd 0 of supervise, and only that.
func (s *seed) closeRequests() {
	s.t.Helper()
	if s.via == pipes {
		s.must(s.requests.Close())
		return
	}
	s.shutdown(unix.SHUT_WR)
}

// closeEvents hangs up fd 1 of supervise, and only that.
func (s *seed) closeEvents() {
	s.t.Helper()
	if s.via == pipes {
		s.must(s.events.Close())
		return
	}
	s.shutdown(unix.SHUT_RD)
}

func (s *seed) shutdown(how int) {
	conn, err := s.events.SyscallConn()
	s.must(err)
	conn.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), how) })
	s.must(err)
}

// close lets go of everything, which ends supervise.
func (s *seed) close() {
	s.requests.Close()
	s.events.Close()
	if s.proc != nil {
		<-s.done
	}
	s.lines.close()
}

// line waits for a line that a child prints.
func (s *seed) line(text string) {
	s.t.Helper()
	if !s.lines.waitFor(text) {
		s.t.Fatalf("children have not printed %q: %q", text, s.lines)
	}
}
