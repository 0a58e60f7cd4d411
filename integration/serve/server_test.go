package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// object is any JSON object.
type object = map[string]any

// transport is how owner and server are connected.
type transport string

const (
	pipes  transport = "pipes"
	socket transport = "socket"
)

// A server is a running `supervise serve`, and we are its owner.
type server struct {
	t   *testing.T
	box *box
	cmd *exec.Cmd

	in  io.WriteCloser // what we say
	out io.Reader      // what it says
	// conn is both, if it is a socket.
	conn *net.UnixConn
	side []io.Closer // ours

	checker *checker
	unended []byte // said, and not a line yet

	buf  []byte // came in, and was not looked at
	fds  []int  // likewise
	seen []object

	answered []float64 // ids, as the answers came

	done   chan struct{} // closed when it was waited for
	closed bool
	ids    int
	stderr string // the file
}

// serve starts a server in the box.
func (b *box) serve(c containment, via transport, args ...string) *server {
	b.t.Helper()
	argv := append([]string{supervise, "serve", "--contain=" + string(c)}, args...)
	return b.start(exec.Command(argv[0], argv[1:]...), via)
}

// start starts a command that is, or becomes, a server.
func (b *box) start(cmd *exec.Cmd, via transport) *server {
	b.t.Helper()
	s := &server{t: b.t, box: b, cmd: cmd, done: make(chan struct{}), checker: newChecker(b.t)}
	dir, err := os.MkdirTemp(b.dir, "cwd")
	s.must(err)
	cmd.Dir, s.stderr = dir, filepath.Join(b.dir, filepath.Base(dir)+".stderr")
	stderr, err := os.Create(s.stderr)
	s.must(err)
	cmd.Stderr, cmd.SysProcAttr = stderr, &syscall.SysProcAttr{Setpgid: true}
	s.connect(via)
	placed := b.place(cmd)
	err = cmd.Start()
	placed()
	stderr.Close()
	cmd.Stdin.(*os.File).Close()
	cmd.Stdout.(*os.File).Close()
	s.must(err)
	b.servers = append(b.servers, s)
	go func() { // ends with the server, whose end close sees to
		cmd.Wait()
		close(s.done)
	}()
	return s
}

// connect makes the connection; the server's ends are those of the command.
func (s *server) connect(via transport) {
	if via == pipes {
		r, in, err := os.Pipe()
		s.must(err)
		out, w, err := os.Pipe()
		s.must(err)
		s.cmd.Stdin, s.cmd.Stdout, s.in, s.out, s.side = r, w, in, out, []io.Closer{in, out}
		return
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	s.must(err)
	mine, theirs := os.NewFile(uintptr(pair[0]), "owner"), os.NewFile(uintptr(pair[1]), "server")
	conn, err := net.FileConn(mine)
	s.must(err)
	mine.Close()
	s.conn = conn.(*net.UnixConn)
	again, err := unix.FcntlInt(uintptr(pair[1]), unix.F_DUPFD_CLOEXEC, 0)
	s.must(err)
	s.cmd.Stdin, s.cmd.Stdout = theirs, os.NewFile(uintptr(again), "server")
	s.in, s.out, s.side = s.conn, s.conn, []io.Closer{s.conn}
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// write says something.
func (s *server) write(text string) {
	s.t.Helper()
	s.lines(text)
	if _, err := io.WriteString(s.in, text); err != nil && !errors.Is(err, syscall.EPIPE) {
		s.t.Fatal(err)
	}
}

// closeInput is the end of what we say.
func (s *server) closeInput() {
	s.t.Helper()
	if s.conn != nil {
		s.must(s.conn.CloseWrite())
		return
	}
	s.in.Close()
}

// hangUp is the end of the connection.
func (s *server) hangUp() {
	for _, c := range s.side {
		c.Close()
	}
}

// line is the next that the server says; io.EOF at the end.
func (s *server) line() (string, error) {
	for {
		if line, rest, ok := bytes.Cut(s.buf, []byte("\n")); ok {
			s.buf = rest
			return string(line), nil
		}
		if err := s.receive(); err != nil {
			return "", err
		}
	}
}

func (s *server) receive() error {
	var text [64 << 10]byte
	var n int
	var err error
	if s.conn == nil {
		s.out.(*os.File).SetReadDeadline(time.Now().Add(patience))
		n, err = s.out.Read(text[:])
	} else {
		var control [4096]byte
		var size int
		s.conn.SetReadDeadline(time.Now().Add(patience))
		n, size, _, _, err = s.conn.ReadMsgUnix(text[:], control[:])
		s.keep(control[:size])
		if n == 0 && err == nil {
			err = io.EOF
		}
	}
	s.buf = append(s.buf, text[:max(n, 0)]...)
	if n > 0 {
		return nil
	}
	return err
}

// keep notes descriptors that came.
func (s *server) keep(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	s.must(err)
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		s.must(err)
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		s.fds = append(s.fds, fds...)
	}
}

// next is the next message; nil at the end.
func (s *server) next() object {
	s.t.Helper()
	line, err := s.line()
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		stderr, _ := os.ReadFile(s.stderr)
		s.t.Fatalf("reading from the server: %v; stderr: %q", err, stderr)
	}
	s.checker.message(line)
	var m object
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		s.t.Fatalf("%q: %v", line, err)
	}
	if id, ok := m["id"].(float64); ok {
		s.answered = append(s.answered, id)
	}
	return m
}

// wait waits for the end of the server, and returns its exit status.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Errorf("the server has not ended. Processes: %s", describe(descendants(os.Getpid())))
		s.cmd.Process.Kill()
		<-s.done
	}
	return s.cmd.ProcessState.ExitCode()
}

// close ends a server that a failed test has left.
func (s *server) close() {
	if s.closed {
		return
	}
	s.closed = true
	s.hangUp()
	select {
	case <-s.done:
	default:
		if !s.t.Failed() {
			s.t.Error("the test is over, but the server runs")
		}
		s.wait()
	}
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	if stderr, _ := os.ReadFile(s.stderr); len(stderr) > 0 {
		s.t.Logf("stderr of the server: %s", stderr)
	}
}

// end closes the input, and wants the server to end well with nothing more to say.
func (s *server) end() {
	s.t.Helper()
	s.closeInput()
	for m := s.next(); m != nil; m = s.next() {
		s.t.Errorf("at the end the server says %s", text(m))
	}
	if code := s.wait(); code != 0 {
		s.t.Errorf("the server's exit status is %d", code)
	}
}

// shutdown ends all jobs, and the server.
func (s *server) shutdown() {
	s.t.Helper()
	s.call("shutdown", nil)
	if m := s.next(); m != nil {
		s.t.Errorf("after shutdown the server says %s", text(m))
	}
	if code := s.wait(); code != 0 {
		s.t.Errorf("the server's exit status is %d", code)
	}
}

// text is something as JSON.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
