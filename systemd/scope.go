package systemd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// newScope has the manager make a scope around the processes. A failed scope that the manager
// kept may have the name: newScope then has the manager forget it, and tries another name,
// once. Processes that end, and are reaped, before the manager moves them are left out.
func (m *manager) newScope(ctx context.Context, h *Host, r Request) (Delegation, error) {
	name, renamed := scopeName(), false
	for {
		err := m.startScope(ctx, name, r)
		switch {
		case err == nil:
			return m.checked(h, name, r.PIDs)
		case answered(err, unitExists) && !renamed:
			m.ResetFailedUnitContext(ctx, name) // if the manager refuses, the new name is enough
			name, renamed = scopeName(), true
		case answered(err, noProcess) && h.dropGone(&r.PIDs):
		default:
			return Delegation{}, fmt.Errorf("starting %s over %s: %w", name, m.endpoint, err)
		}
	}
}

// checked verifies in /proc that the processes are in the scope: the manager's answer alone is no proof.
func (m *manager) checked(h *Host, name string, pids []int) (Delegation, error) {
	cgroup, err := h.arrived(pids, name)
	if err != nil {
		return Delegation{}, fmt.Errorf("starting %s over %s: %w", name, m.endpoint, err)
	}
	return Delegation{Cgroup: cgroup, Unit: name, Origin: NewScope, Manager: m.endpoint.name}, nil
}

// scopeName returns a unique name: one process may start several scopes.
func scopeName() string {
	var id [4]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return "supervise-" + hex.EncodeToString(id[:]) + ".scope"
}

// startScope sends the request and waits for the manager's job to be done. go-systemd listens
// for JobRemoved before it sends, and holds a signal back until it knows the path of our job.
// The channel is buffered, since go-systemd would block on it.
func (m *manager) startScope(ctx context.Context, name string, r Request) error {
	done := make(chan string, 1)
	if _, err := m.StartTransientUnitContext(ctx, name, "fail", properties(r), done); err != nil {
		return explain(ctx, err)
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("the manager's job ended as %q; journalctl has its reasons", result)
		}
		return nil
	case <-m.conn.Context().Done():
		return fmt.Errorf("waiting for the manager's job, which may still be carried out: %w", explain(ctx, dbus.ErrClosed))
	}
}

// properties returns the scope's properties. Times and limits stay at the manager's defaults: a
// stop of the scope sends SIGTERM, and SIGKILL after TimeoutStopSec.
func properties(r Request) []sd.Property {
	props := []sd.Property{
		// Not PIDFDs, which an older manager does not know. The caller reaps its children
		// itself, and waits for this process, so that the numbers stay valid.
		sd.PropPids(numbers(r.PIDs)...),
		property("CollectMode", "inactive-or-failed"),
		property("SendSIGHUP", false),
		delegation(r.Controllers),
	}
	if r.Description != "" {
		props = append(props, sd.PropDescription(legible(r.Description)))
	}
	if r.Slice != "" {
		props = append(props, sd.PropSlice(strings.TrimSuffix(r.Slice, ".slice")+".slice"))
	}
	return props
}

// legible turns a text, which may come from a command line, into one that D-Bus takes (UTF-8)
// and that fits into one line of the unit's file. A backslash at the end would join the next
// line to it.
func legible(text string) string {
	const most = 200 // characters
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // what turns the direction of text among it
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	return strings.TrimRight(text, "\\ ")
}

// delegation asks for all controllers (Delegate) or for some (DelegateControllers). The second
// implies Delegate; a Delegate sent along with it would overrule it.
func delegation(controllers []string) sd.Property {
	if controllers == nil {
		return property("Delegate", true)
	}
	return property("DelegateControllers", controllers)
}

func property(name string, value any) sd.Property {
	return sd.Property{Name: name, Value: dbus.MakeVariant(value)}
}
