package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whoever does not answer, and whenever: the time limit holds, and a manager that
// sleeps behind a bus is not left a request to find when it wakes.
func TestSilence(t *testing.T) {
	for _, c := range []struct{ at, socket string }{
		{"auth", "/systemd/private"},
		{"StartTransientUnit", "/systemd/private"},
		{"Hello", "/bus"},
		{"Ping", "/bus"},
		{"StartTransientUnit", "/bus"},
	} {
		h := testHost(t)
		f := (&fake{result: "done", mute: c.at}).listen(t, h, h.own()+c.socket)
		begun := time.Now()
		_, err := place(t, h, short)
		wantLine(t, err, "no answer in time")
		if took := time.Since(begun); took > patient/2 {
			t.Errorf("%s at %s: took %v", c.at, c.socket, took)
		}
		if n := f.count("StartTransientUnit"); n > 0 && c.at != "StartTransientUnit" {
			t.Errorf("%s at %s: a request was left behind", c.at, c.socket)
		}
		notMoved(t, h)
	}
}

// Here go-systemd leaves a goroutine behind, which ends with the program.
func TestSilenceAtMatch(t *testing.T) {
	h := testHost(t)
	f := (&fake{result: "done", mute: "AddMatch"}).listen(t, h, h.own()+"/bus")
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := h.Place(ctx, Request{PIDs: []int{4711}})
	wantLine(t, err, "no answer in time")
	if f.count("StartTransientUnit") > 0 {
		t.Error("a request was left behind")
	}
}

// listener makes a socket that is not accepted from.
func listener(t *testing.T, socket string, backlog int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: socket}))
	if backlog >= 0 {
		must(t, unix.Listen(fd, backlog))
	}
}

func TestNobodyAccepts(t *testing.T) {
	h := testHost(t)
	must(t, os.Mkdir(h.own()+"/systemd", 0o755))
	listener(t, h.own()+"/systemd/private", 10)
	_, err := place(t, h, short)
	wantLine(t, err, "private "+h.own()+"/systemd/private: no answer in time")
}

func TestQueueFull(t *testing.T) {
	h := testHost(t)
	must(t, os.Mkdir(h.own()+"/systemd", 0o755))
	socket := h.own() + "/systemd/private"
	listener(t, socket, 0)
	for range 2 { // a backlog of 0 has room for one; the second is refused, or waits
		if c, err := net.DialTimeout("unix", socket, short); err == nil {
			defer c.Close()
		}
	}
	_, err := place(t, h, short)
	wantLine(t, err, "private "+socket)
}

func TestRefused(t *testing.T) {
	h := testHost(t)
	must(t, os.Mkdir(h.own()+"/systemd", 0o755))
	listener(t, h.own()+"/systemd/private", -1)
	listener(t, h.own()+"/bus", -1)
	_, err := place(t, h, patient)
	wantLine(t, err, "no systemd manager can be reached (tried private "+h.own()+"/systemd/private: connection refused; user-bus ")
	if strings.Contains(err.Error(), "linger") {
		t.Errorf("advice that does not fit: %v", err)
	}
}

func TestRejected(t *testing.T) {
	for want, f := range map[string]*fake{"it does not believe that": {distrust: true}, "authenticating: ": {hangup: "auth"}} {
		h := testHost(t)
		f.listen(t, h, h.own()+"/systemd/private")
		_, err := place(t, h, patient)
		wantLine(t, err, want)
		notMoved(t, h)
	}
}

// Whatever else may listen there is not understood, and nothing breaks.
func TestBabble(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"l\x02\x01\x01\xff\xff\xff\x07\x01\x00\x00\x00\xff\xff\xff\x07",
		"l\x04\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
		"l\x02\x01\x01\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x05\x01s\x00\x01\x00\x00\x00",
		strings.Repeat("\x00", 4096),
	} {
		h := testHost(t)
		(&fake{babble: text}).listen(t, h, h.own()+"/bus")
		_, err := place(t, h, short)
		wantLine(t, err, "user-bus "+h.own()+"/bus: ")
		notMoved(t, h)
	}
}

func TestNoManager(t *testing.T) {
	h := testHost(t)
	must(t, os.RemoveAll(h.Run))
	_, err := place(t, h, patient)
	wantLine(t, err, "systemd does not run here: no "+h.Run+"/systemd/system, and no socket at "+h.own()+"/systemd/private, ")
	must(t, os.MkdirAll(h.Run+"/systemd/system", 0o755))
	_, err = place(t, h, patient)
	wantLine(t, err, "no systemd user manager: no socket at "+h.own()+"/systemd/private, "+h.own()+"/bus; loginctl enable-linger "+h.userName()+" starts one")
	h.UID, h.Outer = 0, 0
	_, err = place(t, h, patient)
	wantLine(t, err, "no systemd manager: no socket at "+h.Run+"/systemd/private, "+h.Run+"/dbus/system_bus_socket")
}

// A bus without systemd on it leads on to the next endpoint.
func TestBusWithoutManager(t *testing.T) {
	for _, name := range []string{"ServiceUnknown", "NameHasNoOwner", "Spawn.ChildExited"} {
		h := testHost(t, "DBUS_SESSION_BUS_ADDRESS=unix:path=BASE/lonely/bus")
		lonely := &fake{refuse: map[string][]string{"Ping": {"org.freedesktop.DBus.Error." + name}}}
		lonely.listen(t, h, h.Run+"/../lonely/bus")
		f := (&fake{result: "done"}).listen(t, h, h.own()+"/bus")
		p, err := place(t, h, patient)
		if err != nil || p.Manager != "user-bus" {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
		if lonely.count("StartTransientUnit") != 0 || f.count("Hello") != 1 {
			t.Errorf("%s: calls %v, %v", name, lonely.calls, f.calls)
		}
	}
}

func TestForeignRuntimeDir(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a directory to another user needs root")
	}
	h := testHost(t, "XDG_RUNTIME_DIR=BASE/theirs")
	theirs := h.Getenv("XDG_RUNTIME_DIR")
	must(t, os.Mkdir(theirs, 0o755))
	(&fake{result: "done"}).listen(t, h, theirs+"/systemd/private")
	_, err := place(t, h, patient)
	wantLine(t, err, fmt.Sprintf("%s belongs to user 0, and we are %d", theirs, h.UID))
	(&fake{result: "done"}).listen(t, h, h.own()+"/systemd/private")
	if p, err := place(t, h, patient); err != nil || p.Manager != "private" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestEnded(t *testing.T) {
	h := testHost(t)
	for state, want := range map[string]bool{"S": false, "R": false, "Z": true, "X": true} {
		must(t, os.WriteFile(h.Proc+"/4711/stat", []byte("4711 (Z) x) "+state+strings.Repeat(" 1", 49)), 0o644))
		if h.ended(4711) != want {
			t.Errorf("state %s", state)
		}
	}
	if !h.ended(4712) {
		t.Error("a process without a directory")
	}
}

func TestNoUnifiedHierarchy(t *testing.T) {
	h := testHost(t)
	f := (&fake{result: "done"}).listen(t, h, h.own()+"/systemd/private")
	must(t, os.WriteFile(h.Proc+"/4711/cgroup", []byte("1:name=systemd:/\n"), 0o644))
	_, err := place(t, h, patient)
	wantLine(t, err, "cgroup v2 is not in use")
	if f.count("StartTransientUnit") != 0 {
		t.Error("asked for a scope of no use")
	}
}

func TestAttach(t *testing.T) {
	h := testHost(t)
	f := (&fake{}).listen(t, h, h.own()+"/systemd/private")
	must(t, h.Attach(t.Context(), "supervise-1.scope", "supervisor", []int{4711}))
	if got := f.last.Body[1]; got != "/supervisor" {
		t.Errorf("subgroup %q", got)
	}
	f.refuse = map[string][]string{"AttachProcessesToUnit": {"org.freedesktop.systemd1.NoSuchUnit"}}
	wantLine(t, h.Attach(t.Context(), "supervise-2.scope", "", []int{4711}), "there is no such unit, or not any more")
}

func TestProbe(t *testing.T) {
	t.Parallel() // it waits most of the time
	h := testHost(t)
	props := map[string]any{"Delegate": true, "DelegateControllers": []string{"pids"}}
	(&fake{props: props}).listen(t, h, h.own()+"/systemd/private")
	(&fake{mute: "auth"}).listen(t, h, h.Run+"/dbus/system_bus_socket")
	writeCgroup(t, h.Proc, 4711, fmt.Sprintf("/user.slice/user-7.slice/user@%d.service/app.slice/a.service", h.UID))
	ctx, cancel := context.WithTimeout(t.Context(), 30*short)
	defer cancel()
	r := h.Probe(ctx, 4711)
	if r.Unit != "a.service" || r.UnitManager != "user" || r.Slice != "app.slice" || r.Delegate == nil || !*r.Delegate ||
		!reflect.DeepEqual(r.Controllers, []string{"pids"}) || r.Error != "" {
		t.Errorf("got %+v", r)
	}
	if len(r.Endpoints) != 3 || !r.Endpoints[0].OK || r.Endpoints[1].OK || r.Endpoints[2].OK || r.Endpoints[2].Error != errSilent.Error() {
		t.Errorf("roads %+v", r.Endpoints)
	}
}
