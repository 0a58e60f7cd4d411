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
	"slices"
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
	"ignore":   helpIgnore,
	"ignored":  helpIgnored,
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
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", script},
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
func other(c *Caught) unix.Signal {
	if len(arrived) == 0 {
		await(c)
	}
	sig := arrived[0]
	arrived = arrived[1:]
	return sig.Signal
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

// TestIgnored: what was ignored at exec stays so, for the children too. Go's
// runtime lets no other signals than these two tell.
func TestIgnored(t *testing.T) {
	p := start(t, "ignored", `trap "" HUP INT; exec "$0"`)
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGUSR1} {
		p.kill(sig)
	}
	p.want("10")
	p.want("child: alive")
	p.end()
}

func helpIgnored(c *Caught) error {
	fmt.Println(int(other(c)))
	_, out, err := shell("kill -HUP $$; kill -INT $$; echo alive")
	fmt.Println("child:", out)
	return err
}

// TestIgnore: Ignore ignores, and Again catches.
func TestIgnore(t *testing.T) {
	p := start(t, "ignore")
	p.want("10")
	p.want("12")
	p.want("10")
	p.end()
}

func helpIgnore(c *Caught) error {
	raise(unix.SIGUSR1)
	fmt.Println(int(other(c)))
	err := Ignore(unix.SIGUSR1)
	raise(unix.SIGUSR1)
	raise(unix.SIGUSR2)
	fmt.Println(int(other(c)))
	err = errors.Join(err, Again(unix.SIGUSR1))
	raise(unix.SIGUSR1)
	fmt.Println(int(other(c)))
	return err
}

// TestDefault: a signal with its default action ends the process.
func TestDefault(t *testing.T) {
	list := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM}
	if !viaRuntime {
		list = append(list, unix.SIGQUIT, unix.SIGUSR1, 34, 64)
	}
	for _, sig := range list {
		t.Run(strconv.Itoa(int(sig)), func(t *testing.T) {
			p := start(t, "default")
			fmt.Fprintln(p.in, int(sig))
			p.in.Close()
			var exit *exec.ExitError
			if err := p.Wait(); !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
				t.Errorf("the helper ended with %v, want signal %d", exit, sig)
			}
		})
	}
}

func helpDefault(*Caught) error {
	var sig unix.Signal
	if _, err := fmt.Scanln(&sig); err != nil {
		return err
	}
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	err := Default(sig)
	raise(sig)
	return err
}

// TestStop: with its default action SIGTSTP stops the process; caught again it
// does not.
func TestStop(t *testing.T) {
	p := start(t, "stop")
	fmt.Fprintln(p.in, "stop")
	for {
		err := unix.Waitid(unix.P_PID, p.Process.Pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	p.kill(unix.SIGCONT)
	p.want("18")
	fmt.Fprintln(p.in, "again")
	p.want("again")
	p.kill(unix.SIGTSTP)
	p.want("20")
	p.end()
}

func helpStop(c *Caught) error {
	var line string
	_, err := fmt.Scanln(&line)
	err = errors.Join(err, Default(unix.SIGTSTP))
	raise(unix.SIGTSTP)
	fmt.Println(int(other(c)))
	_, e := fmt.Scanln(&line)
	err = errors.Join(err, e, Again(unix.SIGTSTP))
	fmt.Println("again")
	fmt.Println(int(other(c)))
	return err
}

// TestStorm: signals come faster than they are read, while the program works.
func TestStorm(t *testing.T) {
	const storm = 10_000
	p := start(t, "storm")
	for range storm {
		p.kill(unix.SIGUSR1)
	}
	fmt.Fprintln(p.in, "over")
	p.out.Scan()
	if n, err := strconv.Atoi(p.out.Text()); err != nil || n < 1 || n > storm {
		t.Errorf("the helper got %q of %d signals", p.out.Text(), storm)
	}
	p.want("[10 12]")
	p.want("faults are recovered")
	p.end()
}

// helpStorm reads nothing before the storm is over. Then it sends itself another
// signal till that is what it reads: it may be lost while there is no room.
func helpStorm(c *Caught) error {
	over := make(chan error)
	go func() { // ends with the storm
		var line string
		_, err := fmt.Scanln(&line)
		over <- err
	}()
	err := work(over)
	counts := map[unix.Signal]int{}
	for counts[unix.SIGUSR2] == 0 {
		raise(unix.SIGUSR2)
		counts[other(c)]++
	}
	fmt.Println(counts[unix.SIGUSR1])
	var kinds []int
	for sig := range counts {
		kinds = append(kinds, int(sig))
	}
	slices.Sort(kinds)
	fmt.Println(kinds)
	fmt.Println("faults are", fault())
	return err
}

// work keeps several threads busy with what needs the stack and the heap.
func work(over <-chan error) error {
	done := make(chan struct{})
	for range 2 {
		go func() { // ends at done
			for {
				select {
				case <-done:
					return
				default:
					runtime.KeepAlive(strings.Repeat("storm ", 1000))
					unix.Getppid()
				}
			}
		}()
	}
	defer close(done)
	for {
		select {
		case err := <-over:
			return err
		default:
			runtime.GC()
		}
	}
}

// fault has SIGSEGV go to Go's runtime, whose handlers are not ours.
func fault() (word string) {
	defer func() {
		if recover() != nil {
			word = "recovered"
		}
	}()
	var p *int
	return strconv.Itoa(*p)
}
