package systemd

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// A fake is a manager, or a bus with one behind it, that speaks as much D-Bus as
// we need and misbehaves as told. "Moving" a process rewrites its cgroup file
// below the test's /proc.
type fake struct {
	t        *testing.T
	proc     string
	listener net.Listener
	wg       sync.WaitGroup

	refuse   map[string][]string // member: names of the errors for the calls to come
	mute     string              // member, or "auth", that gets no answer
	hangup   string              // member, or "auth", at which the connection is closed
	distrust bool                // reject every user
	babble   string              // said instead of any answer, before hanging up
	result   string              // of the job; "": no JobRemoved
	props    map[string]any      // of units
	idle     bool                // do not move anything

	mu    sync.Mutex
	calls []string
	last  *dbus.Message // StartTransientUnit or AttachProcessesToUnit
}

// listen starts the fake at a socket; the test's end stops it.
func (f *fake) listen(t *testing.T, h *Host, socket string) *fake {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	l, err := net.Listen("unix", socket)
	must(t, err)
	f.t, f.proc, f.listener = t, h.Proc, l
	f.wg.Go(f.accept) // ends with the listener
	t.Cleanup(func() {
		l.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { // ends when the client closes
			defer c.Close()
			f.serve(c)
		})
	}
}

func (f *fake) serve(c net.Conn) {
	in := bufio.NewReader(c)
	if !f.authenticate(in, c) {
		return
	}
	for {
		m, err := dbus.DecodeMessage(in)
		if err != nil || f.babble != "" || f.member(m) == f.hangup {
			io.WriteString(c, f.babble)
			return
		}
		f.handle(c, m)
	}
}

// authenticate is the server's side of SASL EXTERNAL.
func (f *fake) authenticate(in *bufio.Reader, c net.Conn) bool {
	if f.mute == "auth" {
		io.Copy(io.Discard, in)
		return false
	}
	if f.hangup == "auth" {
		return false
	}
	in.ReadByte() // the NUL at the start
	for {
		line, err := in.ReadString('\n')
		switch {
		case err != nil:
			return false
		case strings.HasPrefix(line, "BEGIN"):
			return true
		case strings.HasPrefix(line, "AUTH EXTERNAL") && !f.distrust:
			io.WriteString(c, "DATA\r\n")
		case strings.HasPrefix(line, "DATA") && !f.distrust:
			io.WriteString(c, "OK 0123456789abcdef0123456789abcdef\r\n")
		default:
			io.WriteString(c, "REJECTED EXTERNAL\r\n")
		}
	}
}

func (f *fake) member(m *dbus.Message) string {
	return m.Headers[dbus.FieldMember].Value().(string)
}

func (f *fake) handle(c net.Conn, m *dbus.Message) {
	member := f.member(m)
	f.mu.Lock()
	f.calls = append(f.calls, member)
	var refusal string
	if names := f.refuse[member]; len(names) > 0 {
		refusal, f.refuse[member] = names[0], names[1:]
	}
	f.mu.Unlock()
	switch {
	case member == f.mute:
	case refusal != "":
		f.fail(c, m, refusal)
	case member == "Hello":
		f.reply(c, m, ":1.1")
	case member == "Get":
		f.get(c, m)
	case member == "StartTransientUnit":
		f.start(c, m)
	case member == "AttachProcessesToUnit":
		f.last = m
		f.move(m.Body[0].(string), m.Body[2].([]uint32))
		f.reply(c, m)
	default:
		f.reply(c, m)
	}
}

func (f *fake) get(c net.Conn, m *dbus.Message) {
	v, ok := f.props[m.Body[1].(string)]
	if !ok {
		f.fail(c, m, unknownProperty)
		return
	}
	f.reply(c, m, dbus.MakeVariant(v))
}

const job = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")

func (f *fake) start(c net.Conn, m *dbus.Message) {
	f.last = m
	name := m.Body[0].(string)
	if !f.idle {
		f.move(name, f.property("PIDs").([]uint32))
	}
	f.reply(c, m, job)
	// Another unit's job first.
	f.removed(c, "/org/freedesktop/systemd1/job/6", name, "canceled")
	if f.result != "" {
		f.removed(c, job, name, f.result)
	}
}

// property is one that the scope was asked for with.
func (f *fake) property(name string) any {
	for _, p := range f.last.Body[2].([][]any) {
		if p[0] == name {
			return p[1].(dbus.Variant).Value()
		}
	}
	return nil
}

func (f *fake) move(unit string, pids []uint32) {
	for _, pid := range pids {
		writeCgroup(f.t, f.proc, int(pid), "/user.slice/user-7.slice/user@7.service/app.slice/"+unit)
	}
}

func (f *fake) reply(c net.Conn, call *dbus.Message, body ...any) {
	f.send(c, dbus.TypeMethodReply, body, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
	})
}

func (f *fake) fail(c net.Conn, call *dbus.Message, name string) {
	f.send(c, dbus.TypeError, []any{"so it said"}, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
		dbus.FieldErrorName:   dbus.MakeVariant(name),
	})
}

func (f *fake) removed(c net.Conn, job dbus.ObjectPath, unit, result string) {
	f.send(c, dbus.TypeSignal, []any{uint32(7), job, unit, result}, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
	})
}

func (f *fake) send(c net.Conn, kind dbus.Type, body []any, headers map[dbus.HeaderField]dbus.Variant) {
	if len(body) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	m := &dbus.Message{Type: kind, Headers: headers, Body: body}
	m.EncodeTo(c, binary.LittleEndian) // a client that is gone already is one of the cases
}

// count says how often a method was called.
func (f *fake) count(member string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(f.calls), func(s string) bool { return s != member }))
}

// testHost is a place of the test's own: an ordinary user with a runtime
// directory, and one process, which is in a login session.
func testHost(t *testing.T, env ...string) *Host {
	t.Helper()
	base, err := os.MkdirTemp("", "sd") // t.TempDir() is too long for a socket's path
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	uid := os.Geteuid()
	if uid == 0 {
		uid = 7
	}
	h := &Host{UID: uid, Outer: uid, Run: base + "/run", Proc: base + "/proc", Linger: base + "/linger"}
	h.Getenv = func(name string) string {
		for _, kv := range env {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return strings.ReplaceAll(v, "BASE", base)
			}
		}
		return ""
	}
	runtimeDir(t, h, h.own())
	writeCgroup(t, h.Proc, 4711, "/user.slice/user-7.slice/session-2.scope")
	return h
}

func (h *Host) own() string { return fmt.Sprintf("%s/user/%d", h.Run, h.Outer) }

// runtimeDir makes a directory that belongs to the host's user.
func runtimeDir(t *testing.T, h *Host, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.Chown(dir, h.UID, -1))
}

func writeCgroup(t *testing.T, proc string, pid int, cgroup string) {
	dir := fmt.Sprintf("%s/%d", proc, pid)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Error(err)
	}
	for file, text := range map[string]string{"cgroup": "1:name=systemd:/\n0::" + cgroup + "\n", "stat": "4711 (a) b) S 1 1"} {
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
