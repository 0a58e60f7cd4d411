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
		return nil, h.absentError(addresses)
	}
	return nil, fmt.Errorf("no systemd manager can be reached (tried %s)", strings.Join(tried, "; "))
}

// absentError is the error if there is no socket at all. It says what to do.
func (h *Host) absentError(addresses []string) error {
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
	// go-systemd asks for one connection for calls and for another one for signals, lest
	// a call made because of a signal wait for itself. It makes such calls only for
	// subscribers, and this package does not subscribe: the same connection serves for
	// both, which saves a quarter of the time.
	m, err := sd.NewConnection(func() (*dbus.Conn, error) { return conn, nil })
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &manager{m, d, conn}, nil
}

// awake asks the manager for a sign of life. A bus would keep a request for a stopped manager,
// which would carry it out long after this process has ended. On the manager's own socket the
// authentication is the sign. A bus that our connection has just started keeps the question
// until the manager joins it.
func (d endpoint) awake(ctx context.Context, conn *dbus.Conn) error {
	if !d.isBus() {
		return nil
	}
	o := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err := o.CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Store()
	return explain(ctx, err)
}

// unitProperty reads a property of a service or scope, and checks its type. It returns the
// zero value if the manager is too old to know the property.
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
