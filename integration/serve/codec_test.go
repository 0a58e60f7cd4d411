package serve

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

// One table of conversations for both protocols: the seed's binary one, and that of serve.

// A codec is a job in one of them, and its owner.
type codec interface {
	signal(sig syscall.Signal)
	event() string // the next of the main process: "stopped SIGSTOP", "continued", "exited 3", "killed SIGTERM"
	leave()        // the owner goes
	gone()         // checks that the supervisor ended well, and all is told
}

// A turn is something that the owner does, "<" what it hears.
type turn struct {
	do   syscall.Signal
	hear string
}

var conversations = []struct {
	name, script string
	turns        []turn
	leaves       bool // the owner goes at the end, while the job runs
}{
	{"exit 0", "exit 0", []turn{{0, "exited 0"}}, false},
	{"exit 3", "exit 3", []turn{{0, "exited 3"}}, false},
	{"exit 255", "exit 255", []turn{{0, "exited 255"}}, false},
	{"by a signal of its own", "kill -KILL $$", []turn{{0, "killed SIGKILL"}}, false},
	{"stop, continue, signal", "exec sleep 1000", []turn{
		{syscall.SIGSTOP, "stopped SIGSTOP"}, {syscall.SIGCONT, "continued"}, {syscall.SIGSTOP, "stopped SIGSTOP"}, {syscall.SIGCONT, "continued"},
		{syscall.SIGTERM, "killed SIGTERM"},
	}, false},
	{"killed while it is stopped", "exec sleep 1000", []turn{{syscall.SIGSTOP, "stopped SIGSTOP"}, {syscall.SIGKILL, "killed SIGKILL"}}, false},
	{"exit on a signal", "trap 'exit 9' USR1; kill -STOP $$; while :; do sleep 0.01; done", []turn{
		{0, "stopped SIGSTOP"}, {syscall.SIGCONT, "continued"}, {syscall.SIGUSR1, "exited 9"},
	}, false},
	{"the owner goes", "exec sleep 1000", []turn{{syscall.SIGSTOP, "stopped SIGSTOP"}, {syscall.SIGCONT, "continued"}}, true},
	{"the owner goes, the job is deaf", "trap '' TERM HUP INT; kill -STOP $$; (setsid sleep 1000 &); while :; do sleep 1; done", []turn{
		{0, "stopped SIGSTOP"}, {syscall.SIGCONT, "continued"},
	}, true},
	{"the owner goes, the job is stopped", "exec sleep 1000", []turn{{syscall.SIGSTOP, "stopped SIGSTOP"}}, true},
}

func TestBothCodecs(t *testing.T) {
	drivers := map[string]func(b *box, c containment, script string) codec{"seed": newSeed, "serve": newServed}
	forEachContainment(t, func(t *testing.T, c containment) {
		for name, driver := range drivers {
			for _, conversation := range conversations {
				t.Run(name+"/"+conversation.name, func(t *testing.T) {
					d := driver(newBox(t), c, conversation.script)
					for i, turn := range conversation.turns {
						if turn.do != 0 {
							d.signal(turn.do)
						}
						if got := d.event(); got != turn.hear {
							t.Fatalf("turn %d: heard %q, want %q", i, got, turn.hear)
						}
					}
					if conversation.leaves {
						d.leave()
						if got := d.event(); got != "killed SIGKILL" {
							t.Errorf("at the end heard %q", got)
						}
					}
					d.gone()
				})
			}
		}
	})
}

// served is a job of a server.
type served struct {
	*server
	job *job
}

func newServed(b *box, c containment, script string) codec {
	s := b.serve(c, socket)
	s.hello()
	return &served{s, s.shell(nil, script)}
}

func (d *served) signal(sig syscall.Signal) {
	d.t.Helper()
	d.job.do("signal", object{"signal": fmt.Sprint(int(sig))})
}

func (d *served) event() string {
	d.t.Helper()
	m := d.find("an event", func(m object) bool { return m["method"] != nil && m["method"] != "started" })
	params := m["params"].(object)
	switch {
	case params["code"] != nil:
		return fmt.Sprint("exited ", params["code"])
	case m["method"] == "exited":
		return fmt.Sprint("killed ", params["signal"])
	case m["method"] == "stopped":
		return fmt.Sprint("stopped ", params["signal"])
	}
	return m["method"].(string)
}

func (d *served) leave() { d.closeInput() }

func (d *served) gone() {
	d.t.Helper()
	d.job.told("ended")
	d.end()
}

// seed is `supervise` without arguments, with a child that it has from before.
type seed struct {
	*server
	child int
}

func newSeed(b *box, c containment, script string) codec {
	s := &server{t: b.t, box: b, done: make(chan struct{}), stderr: os.DevNull}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	s.must(err)
	mine, theirs := os.NewFile(uintptr(pair[0]), "owner"), os.NewFile(uintptr(pair[1]), "seed")
	conn, err := net.FileConn(mine)
	s.must(err)
	mine.Close()
	s.conn = conn.(*net.UnixConn)
	s.in, s.out, s.side = s.conn, s.conn, append(s.side, s.conn)
	r, w, err := os.Pipe()
	s.must(err)
	defer r.Close()
	script = "until grep -q supervise /proc/$PPID/comm; do sleep 0.01; done; " + script
	command := "sh -c " + quote(script) + " 0</dev/null >/dev/null 3>&- & echo $! >&3; exec 3>&- " + quote(supervise)
	argv := []string{"sh", "-c", command}
	if c == inSubreaper {
		argv = withoutCgroups(b.t, command)
	}
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.ExtraFiles = theirs, theirs, []*os.File{w}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	placed := b.place(s.cmd)
	err = s.cmd.Start()
	placed()
	theirs.Close()
	w.Close()
	s.must(err)
	b.servers = append(b.servers, s)
	go func() { // ends with the supervisor
		s.cmd.Wait()
		close(s.done)
	}()
	d := &seed{server: s}
	_, err = fmt.Fscan(r, &d.child)
	s.must(err)
	return d
}

// withoutCgroups is the command with cgroups that it may not write, which is how the seed's protocol comes to the fallback.
func withoutCgroups(t *testing.T, command string) []string {
	mount, err := testbed.Mount()
	if err != nil {
		return []string{"sh", "-c", command}
	}
	argv := []string{"unshare", "--mount"}
	if os.Geteuid() != 0 {
		argv = append(argv, "--user", "--map-root-user")
	}
	testbed.Need(t, "a mount namespace", exec.Command(argv[0], append(argv[1:], "true")...).Run())
	return append(argv, "sh", "-c", "mount --bind -o ro "+quote(mount, mount)+" && mount -o remount,bind,ro "+quote(mount)+" || exit; "+command)
}

func (d *seed) signal(sig syscall.Signal) {
	b := binary.NativeEndian.AppendUint32(nil, uint32(d.child))
	_, err := d.conn.Write(binary.NativeEndian.AppendUint32(b, uint32(sig)))
	d.must(err)
}

// event reads a siginfo_t: si_code at 8, si_pid at 16, si_status at 24.
func (d *seed) event() string {
	d.t.Helper()
	for {
		var b [256]byte
		d.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := d.conn.Read(b[:])
		if n != 128 {
			d.t.Fatalf("an event of %d bytes, %v", n, err)
		}
		if int(binary.NativeEndian.Uint32(b[16:])) != d.child {
			continue
		}
		status := binary.NativeEndian.Uint32(b[24:])
		name := unix.SignalName(syscall.Signal(status))
		switch code := binary.NativeEndian.Uint32(b[8:]); code {
		case 1:
			return fmt.Sprint("exited ", status)
		case 5:
			return "stopped " + name
		case 6:
			return "continued"
		default:
			return "killed " + name
		}
	}
}

func (d *seed) leave() { d.must(d.conn.CloseWrite()) }

// gone: with its last child the supervisor ends.
func (d *seed) gone() {
	d.t.Helper()
	for {
		var b [256]byte
		d.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := d.conn.Read(b[:])
		if n == 0 {
			break
		}
		if int(binary.NativeEndian.Uint32(b[16:])) == d.child {
			d.t.Errorf("more of the child: %q, %v", strings.TrimRight(string(b[:n]), "\x00"), err)
		}
	}
	if code := d.wait(); code != 0 {
		d.t.Errorf("status %d", code)
	}
}
