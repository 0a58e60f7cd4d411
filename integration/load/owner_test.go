package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An owner talks with a server.
type owner struct {
	t     *testing.T
	conn  *net.UnixConn
	lines *bufio.Reader
	model *model
	pid   int // of the server, our child; 0: it is not
	last  int // id

	controllers []string // that jobs have
}

// A place is where, and as whom, a server runs. The zero value of each field works.
type place struct {
	cgroup string
	uid    int
	limits map[int]uint64 // by RLIMIT_
	narrow bool           // the server can send little before its owner reads
}

// serve starts a server.
func serve(t *testing.T, p place) *owner {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if p.narrow {
		unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
	}
	cgroup, err := os.Open(p.cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	argv := []string{supervise, "serve"}
	if os.Getenv("SUPERVISE_BED") == "vm" { // systemd does not hand controllers to the cgroup that the test has made
		argv = append(argv, "--scope=new")
	}
	for name, limit := range p.limits {
		argv = append([]string{"prlimit", fmt.Sprintf("--%s=%d", limitNames[name], limit), "--"}, argv...)
	}
	if p.uid > 0 {
		argv = append([]string{"setpriv", "--reuid=" + strconv.Itoa(p.uid), "--regid=" + strconv.Itoa(p.uid), "--clear-groups", "--"}, argv...)
	}
	path, err := lookPath(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{uintptr(fds[1]), uintptr(fds[1]), 2}, Dir: "/",
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			unix.Kill(pid, unix.SIGKILL) // else it was waited for
		}
	})
	f := os.NewFile(uintptr(fds[0]), "owner")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return greet(t, conn.(*net.UnixConn), pid)
}

var limitNames = map[int]string{unix.RLIMIT_NPROC: "nproc", unix.RLIMIT_NOFILE: "nofile"}

func lookPath(name string) (string, error) {
	for _, dir := range []string{"", "/usr/bin/", "/bin/", "/usr/sbin/"} {
		if strings.Contains(dir+name, "/") && unix.Access(dir+name, unix.X_OK) == nil {
			return dir + name, nil
		}
	}
	return "", fmt.Errorf("no %s", name)
}

// greet says hello.
func greet(t *testing.T, conn *net.UnixConn, pid int) *owner {
	t.Helper()
	o := &owner{t: t, conn: conn, lines: bufio.NewReaderSize(conn, 64<<10), model: newModel(), pid: pid}
	o.ask("hello", `{"versions":[1]}`)
	m, err := o.read()
	if err != nil || m.Error != nil {
		t.Fatalf("hello: %+v, %v", m, err)
	}
	o.controllers = m.Result.Controllers
	return o
}

// ask sends a request, and returns its id.
func (o *owner) ask(method, params string) int {
	o.last++
	fmt.Fprintf(o.conn, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", o.last, method, params)
	return o.last
}

// read reads a message; the caller checks it.
func (o *owner) read() (*message, error) {
	o.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := o.lines.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	m := &message{}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("%q: %w", line, err)
	}
	return m, nil
}

// close ends the conversation in good order: all that is left to tell must fit, and the server exits with 0.
func (o *owner) close() error {
	o.conn.CloseWrite()
	var m *message
	var err error
	for {
		if m, err = o.read(); err != nil {
			break
		}
		if m.Method == "" {
			continue
		}
		if err := o.model.told(m); err != nil {
			return err
		}
	}
	o.conn.Close()
	var status unix.WaitStatus
	if _, err := unix.Wait4(o.pid, &status, 0, nil); err != nil || status != 0 {
		return fmt.Errorf("the server: status %#x, %w", status, err)
	}
	if len(o.model.jobs) > 0 {
		return errors.New("the end of some jobs was not told")
	}
	return nil
}

// resident is the server's memory in KB.
func (o *owner) resident() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.pid))
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.Atoi(fields[0])
	return kb
}
