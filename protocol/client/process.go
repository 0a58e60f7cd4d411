package client

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BinEnv is the environment variable that names the program.
const BinEnv = "SUPERVISE_BIN"

// A process is the supervisor that we have started.
type process struct {
	cmd  *exec.Cmd
	log  *os.File      // what it wrote to its standard error, or nil
	done chan struct{} // closed when it was waited for
	err  error         // of Wait
}

// lingering is how long a supervisor may live that has closed the connection: it has
// told all then, and has nothing left to do.
const lingering = 10 * time.Second

func startProcess(o Options) (*process, net.Conn, error) {
	path, err := findProgram(o.Path)
	if err != nil {
		return nil, nil, err
	}
	sock, theirs, err := socketpair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	p := &process{cmd: exec.Command(path, append([]string{"serve"}, o.Args...)...), done: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Env, p.cmd.Dir = theirs, o.Env, o.Dir
	// In a session of its own Ctrl-C at our terminal does not reach it; it ends when we do.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.cmd.Stderr = o.Stderr; o.Stderr == nil {
		if p.log, err = memoryFile(); err == nil {
			p.cmd.Stderr = p.log
		}
	}
	if err := p.cmd.Start(); err != nil {
		sock.Close()
		p.close()
		return nil, nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	go p.reap(sock) // ends with the supervisor; the loop waits for it
	return p, sock, nil
}

func findProgram(path string) (string, error) {
	if path == "" {
		path = os.Getenv(BinEnv)
	}
	if path == "" {
		path = "supervise"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("looking for the supervisor: %w", err)
	}
	return found, nil
}

// socketpair returns our end, and the supervisor's. Both are close-on-exec: were our end
// in another process, the supervisor would not hear of our end.
func socketpair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "supervisor"), os.NewFile(uintptr(fds[1]), "owner")
	defer ours.Close() // FileConn duplicates it
	sock, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return sock.(*net.UnixConn), theirs, nil
}

// memoryFile keeps what the supervisor complains of, for which no goroutine has to read.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("supervise-stderr", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "stderr"), nil
}

// reap waits for the supervisor. Another process may hold its end of the socket still, so
// its end is made the end of what there is to read.
func (p *process) reap(sock net.Conn) {
	p.err = p.cmd.Wait()
	if s, ok := sock.(*net.UnixConn); ok {
		s.CloseRead() // what has arrived can still be read
	}
	close(p.done)
}

// end waits until the supervisor has ended, which has closed the connection, and
// returns how, if not with status 0. A nil process has ended well.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	timer := time.AfterFunc(lingering, p.kill)
	<-p.done
	timer.Stop()
	defer p.close()
	if p.err == nil {
		return nil
	}
	if text := p.complaint(); text != "" {
		return fmt.Errorf("%w: %s", p.err, text)
	}
	return p.err
}

func (p *process) kill() { p.cmd.Process.Kill() }

// complaint is the last line or two that the supervisor wrote to standard error.
func (p *process) complaint() string {
	const most = 1000
	if p.log == nil {
		return ""
	}
	info, err := p.log.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, most)
	n, _ := p.log.ReadAt(text, max(0, info.Size()-most))
	return string(bytes.TrimSpace(bytes.ToValidUTF8(text[:n], nil)))
}

func (p *process) close() {
	if p.log != nil {
		p.log.Close()
	}
}
