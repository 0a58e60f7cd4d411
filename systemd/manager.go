package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// A manager is a connection to a systemd instance.
type manager struct {
	*sd.Conn
	endpoint endpoint
	conn     *dbus.Conn
}

// connect tries the endpoints in order and returns the first manager that answers.
func (h *Host) connect(ctx context.Context, endpoints []endpoint) (*manager, error) {
	var tried, addresses []string
	absent := true
	for _, d := range endpoints {
		m, err := d.open(ctx)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", d, errSilent)
		}
		absent = absent && errors.Is(err, syscall.ENOENT)
		tried = append(tried, fmt.Sprintf("%s: %v", d, err))
		addresses = append(addresses, d.address)
	}
	if absent {
		return nil, h.nobody(addresses)
	}
	return nil, fmt.Errorf("no systemd manager can be reached (tried %s)", strings.Join(tried, "; "))
}

// nobody is the error when there is no socket at all, with what to do.
func (h *Host) nobody(addresses []string) error {
	at := strings.Join(addresses, ", ")
	switch _, err := os.Stat(h.Run + "/systemd/system"); { // sd_booted(3)
	case err != nil:
		return fmt.Errorf("systemd does not run here: no %s/systemd/system, and no socket at %s", h.Run, at)
	case h.Outer == 0:
		return fmt.Errorf("no systemd manager: no socket at %s", at)
	}
	return fmt.Errorf("no systemd user manager: no socket at %s; loginctl enable-linger %s starts one", at, h.userName())
}

// open connects to the manager behind an endpoint and makes sure that it answers.
func (d endpoint) open(ctx context.Context) (*manager, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.awake(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	// go-systemd asks for a connection for calls, and for another one on which
	// signals arrive, lest a call made because of a signal wait for itself. It
	// makes such calls only for subscribers, who are not we: one serves for both,
	// and saves a quarter of our time.
	m, err := sd.NewConnection(func() (*dbus.Conn, error) { return conn, nil })
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &manager{m, d, conn}, nil
}

// awake asks the manager for a sign of life. A bus would keep a request for a
// manager that sleeps, which would carry it out when we are long gone. On its
// own socket the manager has shown itself by authenticating. A bus that our
// connection has just started has the question wait until the manager joins it.
func (d endpoint) awake(ctx context.Context, conn *dbus.Conn) error {
	if !d.isBus() {
		return nil
	}
	o := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err := o.CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Store()
	return explain(ctx, err)
}

// unitProperty reads a property of a service or scope, and checks its type. A
// manager that does not know it is too old for it: the zero value.
func unitProperty[T any](ctx context.Context, m *manager, unit, name string) (T, error) {
	var zero T
	p, err := m.GetUnitTypePropertyContext(ctx, unit, unitType(unit), name)
	if answered(err, unknownProperty) {
		return zero, nil
	}
	if err != nil {
		return zero, fmt.Errorf("asking for %s of %s: %w", name, unit, explain(ctx, err))
	}
	v, ok := p.Value.Value().(T)
	if !ok {
		return zero, fmt.Errorf("asking for %s of %s: the answer is of type %s", name, unit, p.Value.Signature())
	}
	return v, nil
}

// unitType is the D-Bus interface of those units that can be delegated.
func unitType(unit string) string {
	if strings.HasSuffix(unit, ".scope") {
		return "Scope"
	}
	return "Service"
}
