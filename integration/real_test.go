package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// needProgram skips where a program is not installed; it is in Debian's package of that name.
func needProgram(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		testbed.Program(t, name)
	}
}

// The main process starts a daemon, says so, and stays until its stdin ends.
const thenStay = ` || exit 9; echo ready; read end; exit 7`

// A real program that daemonizes.
type service struct {
	name    string
	comm    string
	program string
	start   func(t *testing.T, dir string) (script string)
	probe   func(t *testing.T, dir string) // that it is there and does its work
}

var services = []service{
	{"redis", "redis-server", "redis-server", startRedis, func(t *testing.T, dir string) { ask(t, dir+"/sock", "PING\r\n", "+PONG") }},
	{"nginx", "nginx", "nginx", startNginx, func(t *testing.T, dir string) {
		ask(t, dir+"/sock", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 204 No Content")
	}},
	{"ssh-agent", "ssh-agent", "ssh-agent", startSSHAgent, probeSSHAgent},
	{"gpg-agent", "gpg-agent", "gpg-agent", startGPGAgent, func(t *testing.T, dir string) { ask(t, gpgSocket(t, dir), "", "OK") }},
}

// TestDaemons: each ends with its job, however that ends.
func TestDaemons(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			needProgram(t, s.program)
			forEachContainment(t, func(t *testing.T, c containment) {
				for _, e := range usual {
					t.Run(e.name, func(t *testing.T) { s.test(t, c, e) })
				}
			})
		})
	}
}

func (s service) test(t *testing.T, c containment, e ending) {
	b := newBox(t)
	dir := shortDir(t)
	p := b.start(b.run(c, e.flags, sh(s.start(t, dir)+thenStay)...))
	p.expect("ready")
	s.probe(t, dir)
	e.end(p)
	o := p.wait()
	e.check(o, c)
	if e.name == byMain.name && !o.record.hasLeftover(s.comm) {
		t.Errorf("record: leftovers %+v, want %s", o.record.Leftovers, s.comm)
	}
	if conn, err := net.Dial("unix", dir+"/sock"); err == nil {
		conn.Close()
		t.Errorf("%s still answers", s.name)
	}
}

// shortDir is a temporary directory whose name leaves room in the 108 bytes of a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "it-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func startRedis(t *testing.T, dir string) string {
	return fmt.Sprintf(`redis-server --daemonize yes --port 0 --unixsocket %[1]s/sock --dir %[1]s --save "" --logfile %[1]s/log`, dir)
}

func startNginx(t *testing.T, dir string) string {
	conf := fmt.Sprintf(`
pid %[1]s/pid;
error_log %[1]s/log;
worker_processes 2;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen unix:%[1]s/sock;
		return 204;
	}
}
`, dir)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("nginx -p %[1]s -c %[1]s/conf -e %[1]s/log", dir)
}

func startSSHAgent(t *testing.T, dir string) string {
	return fmt.Sprintf("ssh-agent -a %s/sock >/dev/null", dir)
}

func probeSSHAgent(t *testing.T, dir string) {
	t.Helper()
	// Length 1, SSH_AGENTC_REQUEST_IDENTITIES; the answer is length 5, SSH_AGENT_IDENTITIES_ANSWER, no key.
	ask(t, dir+"/sock", "\x00\x00\x00\x01\x0b", "\x00\x00\x00\x05\x0c")
}

func startGPGAgent(t *testing.T, dir string) string {
	return fmt.Sprintf("gpg-agent --homedir %[1]s --daemon >/dev/null 2>%[1]s/log", dir)
}

// gpgSocket is in the home directory, or below /run/user/UID where there is one.
func gpgSocket(t *testing.T, dir string) string {
	t.Helper()
	path, err := exec.Command("gpgconf", "--homedir", dir, "--list-dirs", "agent-socket").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}

// ask connects to a socket, which may take a moment to be there, sends a request and checks how the answer begins.
func ask(t *testing.T, socket, request, want string) {
	t.Helper()
	var conn net.Conn
	eventually(t, "connecting to "+socket, func() (err error) {
		conn, err = net.Dial("unix", socket)
		return err
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(killPatience))
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(want))
	if _, err := bufio.NewReader(conn).Read(answer); err != nil || string(answer) != want {
		t.Fatalf("%s answers %q, %v; want %q", socket, answer, err, want)
	}
}

// The slow half runs until it is interrupted, and each of it leaves something in a session of its own.
const makefile = `all: $(foreach n,1 2 3 4 5 6 7 8,quick$(n) slow$(n))
quick%:
	@echo $@ >>log
slow%:
	@setsid sleep 1000 & while [ "$$(cat /proc/$$!/comm)" = sh ]; do :; done; echo slow; exec sleep 1000
`

// TestMakeInterrupted interrupts make while the slow half runs: as a terminal does it, by an INT to the job's process group,
// and by a TERM to supervise, which make hands on to its children.
func TestMakeInterrupted(t *testing.T) {
	needProgram(t, "make")
	interrupts := map[string]func(p *proc){
		"INT to the group":  func(p *proc) { syscall.Kill(-p.below("make"), syscall.SIGINT) },
		"TERM to supervise": func(p *proc) { p.signal(syscall.SIGTERM) },
	}
	forEachContainment(t, func(t *testing.T, c containment) {
		for name, interrupt := range interrupts {
			t.Run(name, func(t *testing.T) { testMake(t, c, interrupt) })
		}
	})
}

func testMake(t *testing.T, c containment, interrupt func(p *proc)) {
	b := newBox(t)
	if err := os.WriteFile(filepath.Join(b.dir, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	l := b.run(c, nil, "make", "--no-print-directory", "-j", "4")
	l.dir = b.dir
	p := b.start(l)
	p.stdout.waitUntil(func(text string) bool { return strings.Count(text, "slow\n") == 4 })
	interrupt(p)
	o := p.wait()
	if o.code != 2 && o.code != 130 && o.code != 143 {
		t.Errorf("status %d, want make's own; stderr %q", o.code, o.stderr)
	}
	if o.record == nil || !o.record.hasLeftover("sleep") && !o.record.hasLeftover("setsid") { // which becomes the sleep
		t.Errorf("record: %+v, want the sleeps that were in sessions of their own", o.record)
	}
}

// below is the first process of that name below one that was started.
func (p *proc) below(name string) int {
	p.box.t.Helper()
	for todo := testbed.Children(p.pid()); len(todo) > 0; todo = append(todo[1:], testbed.Children(todo[0])...) {
		if comm(todo[0]) == name {
			return todo[0]
		}
	}
	p.box.t.Fatalf("no %s below %q", name, p.argv)
	return 0
}

// TestGoBuildTimedOut builds this very module with an empty cache, which takes far longer than it is given.
func TestGoBuildTimedOut(t *testing.T) {
	needProgram(t, "go")
	forEachContainment(t, func(t *testing.T, c containment) {
		b := newBox(t)
		l := b.run(c, []string{"--timeout=3s"}, "go", "build", "-o", b.dir, "./cmd/...")
		l.dir = moduleDir(t)
		l.env = []string{"GOCACHE=" + filepath.Join(b.dir, "cache"), "GOTMPDIR=" + b.dir, "GOFLAGS=-buildvcs=false"}
		o := b.start(l).wait()
		o.wantCode(124)
		r := o.wantRecord(c, "timeout")
		if *r.Reaped < 1 {
			t.Errorf("record: reaped %d", *r.Reaped)
		}
		t.Logf("reaped %d, cpu %.1f s", *r.Reaped, *r.CPU.UserS+*r.CPU.SystemS)
	})
}

// moduleDir is where go.mod is. A test binary that is run elsewhere is told by SUPERVISE_TEST_SRC.
func moduleDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SUPERVISE_TEST_SRC")
	if dir == "" {
		dir = ".."
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	testbed.Need(t, "the module's source", err)
	return dir
}
