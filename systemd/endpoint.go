package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// Names of the endpoints to a manager.
const (
	private       = "private"        // the user manager's own socket
	sessionBus    = "session-bus"    // the bus that DBUS_SESSION_BUS_ADDRESS names
	userBus       = "user-bus"       // the user's bus at its usual place
	systemPrivate = "system-private" // the system manager's own socket, for root
	systemBus     = "system-bus"
)

// An endpoint is a socket behind which a manager may listen.
type endpoint struct {
	name     string
	address  string // as package net has it
	unusable error  // the reason not to try it
}

func (d endpoint) String() string { return d.name + " " + d.address }

// isBus says whether there is a bus between us and the manager.
func (d endpoint) isBus() bool { return d.name != private && d.name != systemPrivate }

// user returns the user whose units the manager behind the endpoint makes, or systemManager.
func (d endpoint) user(h *Host) int {
	if d.name == systemPrivate || d.name == systemBus {
		return systemManager
	}
	return h.Outer
}

// endpoints are those to the managers that may make our scopes, best first. Root in a
// user namespace may be root of a whole system, or an ordinary user outside.
func (h *Host) endpoints() []endpoint {
	if h.UID != 0 {
		return h.userEndpoints()
	}
	endpoints := []endpoint{{name: systemPrivate, address: h.Run + "/systemd/private"}}
	if h.Outer != 0 {
		endpoints = append(endpoints, h.userEndpoints()...)
	}
	return append(endpoints, h.systemBus())
}

func (h *Host) userEndpoints() []endpoint {
	var endpoints []endpoint
	for i, dir := range h.runtimeDirs() {
		closed := h.foreign(dir)
		endpoints = append(endpoints, endpoint{private, dir + "/systemd/private", closed})
		if i == 0 {
			endpoints = append(endpoints, h.sessionBuses()...)
		}
		endpoints = append(endpoints, endpoint{userBus, dir + "/bus", closed})
	}
	return unique(endpoints)
}

func (h *Host) systemBus() endpoint {
	return endpoint{name: systemBus, address: h.Run + "/dbus/system_bus_socket"}
}

func (h *Host) sessionBuses() []endpoint {
	list := h.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if list == "" {
		return nil
	}
	sockets, err := parseAddresses(list)
	if err != nil {
		return []endpoint{{sessionBus, list, err}}
	}
	var endpoints []endpoint
	for _, s := range sockets {
		endpoints = append(endpoints, endpoint{name: sessionBus, address: s})
	}
	return endpoints
}

// unique drops endpoints that were named before: DBUS_SESSION_BUS_ADDRESS usually
// names the user's bus.
func unique(endpoints []endpoint) []endpoint {
	seen := map[string]bool{}
	var kept []endpoint
	for _, d := range endpoints {
		if !seen[d.address] {
			seen[d.address] = true
			kept = append(kept, d)
		}
	}
	return kept
}

// foreign returns an error if a runtime directory is another user's: sudo and su may leave the
// calling user's in XDG_RUNTIME_DIR.
func (h *Host) foreign(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != h.UID {
		return fmt.Errorf("%s belongs to user %d, and we are %d", dir, st.Uid, h.UID)
	}
	return nil
}

// dial connects and authenticates. The connection ends with ctx.
func (d endpoint) dial(ctx context.Context) (*dbus.Conn, error) {
	if d.unusable != nil {
		return nil, d.unusable
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", d.address)
	if err != nil {
		return nil, cause(err)
	}
	socket := c.(*net.UnixConn)
	if err := sameProcesses(socket); err != nil {
		socket.Close()
		return nil, err
	}
	conn, err := shakeHands(ctx, socket)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("authenticating: %w", cause(err))
	}
	if !d.isBus() { // without a bus there is no name to ask for
		return conn, nil
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("saying hello: %w", explain(ctx, err))
	}
	return conn, nil
}

// sameProcesses makes sure that a PID means the same process on the other side: a manager
// outside our PID namespace would move the wrong process. The kernel shows a peer that is
// outside our PID namespace with PID 0 (unix(7), SO_PEERCRED).
func sameProcesses(socket *net.UnixConn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("asking who listens: %w", err)
	}
	if peer.Pid == 0 {
		return errors.New("the manager is outside our PID namespace, where our PIDs mean other processes")
	}
	return nil
}

// cause unwraps the kernel's error from package net's: the address is in our messages already.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
