//go:build !portablesignals

package signals

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a process catches it catches for life, so helpers do: this test binary,
// executed anew with helperEnv set. They tell on stdout what they get, and go on
// at a line, or the end, of stdin.

const helperEnv = "SIGNALS_TEST_HELPER"

var helpers = map[string]func(*Caught) error{
	"arrive":   helpArrive,
	"children": helpChildren,
	"default":  helpDefault,
	"held":     helpHeld,
	"ignore":   helpIgnore,
	"starting": helpStarting,
	"stop":     helpStop,
	"storm":    helpStorm,
}

var used = map[string]bool{}

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(helperEnv); ok {
		os.Exit(help(name))
	}
	code := m.Run()
	for name := range helpers {
		if code == 0 && allRan() && !used[name] {
			fmt.Fprintf(os.Stderr, "helper %q is unused\n", name)
			code = 1
		}
	}
	if err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != unix.ECHILD {
		fmt.Fprintln(os.Stderr, "children are left:", err)
		code = 1
	}
	os.Exit(code)
}

// allRan says whether no flag has left tests out.
func allRan() bool {
	for _, name := range []string{"run", "skip", "list", "fuzz"} {
		if flag.Lookup("test."+name).Value.String() != "" {
			return false
		}
	}
	return true
}

// viaRuntime says that portable.go is tested, whose signals come through Go's
// runtime: that keeps 27 (SIGPROF) and 34 to itself, and the default actions of
// all but SIGHUP, SIGINT, SIGTERM and those of the terminal are its own.
var viaRuntime = runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64"

// catchable is what supervise catches: all that can be sent and forwarded.
var catchable = func() (list []unix.Signal) {
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, 32, 33: // the C library's
		case unix.SIGILL, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV: // faults
		case unix.SIGPIPE, unix.SIGCHLD, unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG: // our own affair
		case unix.SIGPROF, 34:
			if !viaRuntime {
				list = append(list, sig)
			}
		default:
			list = append(list, sig)
		}
	}
	return list
}()

func help(name string) int {
	f, ok := helpers[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no helper %q\n", name)
		return 2
	}
	caught, err := Catch(catchable)
	if err == nil {
		fmt.Println("ready")
		err = f(caught)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "helper %s: %v\n", name, err)
		return 1
	}
	return 0
}

// A process is a helper that runs.
type process struct {
	*exec.Cmd
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

// start starts a helper and waits until it catches signals. Command may be a
// shell script that ends in an exec of $0.
func start(t *testing.T, name string, script ...string) *process {
	t.Helper()
	used[name] = true
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe), t: t}
	if len(script) > 0 {
		p.Cmd = exec.Command("/bin/sh", "-c", script[0], exe)
	}
	p.Env = append(os.Environ(), helperEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an orphaned group would not stop for SIGTSTP
	p.in, err = p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := t.Deadline(); ok {
		stdout.(*os.File).SetReadDeadline(d.Add(-5 * time.Second))
	}
	p.out = bufio.NewScanner(stdout)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	p.want("ready")
	return p
}

// want reads a line.
func (p *process) want(line string) {
	p.t.Helper()
	p.out.Scan()
	if got := p.out.Text(); got != line {
		p.t.Fatalf("the helper says %q, want %q", got, line)
	}
}

// end waits for the helper to exit.
func (p *process) end() {
	p.t.Helper()
	p.in.Close()
	if err := p.Wait(); err != nil {
		p.t.Error(err)
	}
}

func (p *process) kill(sig unix.Signal) {
	p.t.Helper()
	if err := unix.Kill(p.Process.Pid, sig); err != nil {
		p.t.Fatal(err)
	}
}

// raise sends a signal to this process, which gets it before raise returns.
func raise(sig unix.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
}

// shell runs a script to its end and says how that came, and what it wrote.
func shell(script string) (unix.WaitStatus, string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, "", err
	}
	defer r.Close()
	pid, err := Start(syscall.ForkExec, "/bin/sh", []string{"sh", "-c", script},
		&syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, w.Fd(), 2}})
	w.Close()
	if err != nil {
		return 0, "", err
	}
	out, err := io.ReadAll(r)
	var status unix.WaitStatus
	for {
		_, e := unix.Wait4(pid, &status, 0, nil)
		if e != unix.EINTR {
			return status, strings.TrimSpace(string(out)), errors.Join(err, e)
		}
	}
}

// arrived holds what a helper has read and not used.
var arrived []Signal

// await waits for signals.
func await(c *Caught) {
	fds := []unix.PollFd{{Fd: int32(c.FD()), Events: unix.POLLIN}}
	for arrived = c.Read(); len(arrived) == 0; arrived = c.Read() {
		unix.Poll(fds, -1)
	}
}

// other takes the next signal.
func other(c *Caught) unix.Signal { return next(c).Signal }

func next(c *Caught) Signal {
	if len(arrived) == 0 {
		await(c)
	}
	sig := arrived[0]
	arrived = arrived[1:]
	return sig
}

// children takes SIGCHLD.
func children(c *Caught) {
	fds := []unix.PollFd{{Fd: int32(c.ChildFD()), Events: unix.POLLIN}}
	for n := 0; n <= 0; n, _ = unix.Poll(fds, -1) {
	}
	c.ReadChild()
}

// TestArrive sends one signal after the other.
func TestArrive(t *testing.T) {
	p := start(t, "arrive")
	for _, sig := range catchable {
		p.kill(sig)
		p.want(strconv.Itoa(int(sig)))
	}
	p.end()
}

func helpArrive(c *Caught) error {
	for range catchable {
		fmt.Println(int(other(c)))
	}
	return nil
}

// TestChildren: SIGCHLD arrives, several as one, and leaves room for the others; a child
// inherits nothing of what is caught.
func TestChildren(t *testing.T) {
	p := start(t, "children")
	p.want("one")
	p.want("many")
	p.want("none") // of the others
	p.want(strconv.Itoa(int(unix.SIGUSR1)))
	for _, sig := range catchable {
		if sig != unix.SIGCONT && sig != unix.SIGTSTP && sig != unix.SIGWINCH {
			p.want("killed by " + strconv.Itoa(int(sig)))
		}
	}
	p.end()
}

func helpChildren(c *Caught) error {
	_, _, err := shell("exit 0")
	children(c)
	fmt.Println("one")
	for range 10 {
		_, _, e := shell("exit 0")
		err = errors.Join(err, e)
	}
	children(c)
	fmt.Println("many")
	if len(arrived) == 0 && len(c.Read()) == 0 {
		fmt.Println("none")
	}
	for range 10_000 {
		raise(unix.SIGCHLD)
	}
	raise(unix.SIGUSR1)
	fmt.Println(int(other(c)))
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	for _, sig := range catchable {
		if sig == unix.SIGCONT || sig == unix.SIGTSTP || sig == unix.SIGWINCH {
			continue // these do not kill
		}
		status, out, e := shell("kill -" + strconv.Itoa(int(sig)) + " $$; echo alive")
		err = errors.Join(err, e)
		fmt.Println("killed by " + strconv.Itoa(int(status.Signal())) + out)
	}
	return err
}
