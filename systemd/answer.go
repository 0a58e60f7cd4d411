package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/godbus/dbus/v5"
)

// errSilent says that no answer came: the manager, or the bus, is stopped or overloaded.
var errSilent = errors.New("no answer in time; the manager may be stopped, or busy")

// errGone says that the other side has hung up.
var errGone = errors.New("the manager closed the connection")

// Names of D-Bus errors that the caller handles.
const (
	unitExists      = "org.freedesktop.systemd1.UnitExists"
	noProcess       = "org.freedesktop.DBus.Error.UnixProcessIdUnknown"
	unknownProperty = "org.freedesktop.DBus.Error.UnknownProperty"
)

// answers maps the errors of the manager and of the bus to their meaning for the user.
var answers = map[string]string{
	unitExists:                                                    "another unit has this name",
	"org.freedesktop.systemd1.NoSuchUnit":                         "there is no such unit, or not any more",
	"org.freedesktop.DBus.Error.InvalidArgs":                      "the manager does not accept the request",
	noProcess:                                                     "a process that was to be moved is gone",
	"org.freedesktop.DBus.Error.FileNotFound":                     "the manager knows of nothing to move",
	"org.freedesktop.DBus.Error.AccessDenied":                     "the manager does not allow us this",
	"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired": "the system's manager wants a password for this",
	"org.freedesktop.DBus.Error.NoReply":                          "the manager did not answer the bus, or left it",
	"org.freedesktop.DBus.Error.LimitsExceeded":                   "the bus, or the manager, has no room for more",
	"org.freedesktop.DBus.Error.ServiceUnknown":                   "no manager on this bus",
	"org.freedesktop.DBus.Error.NameHasNoOwner":                   "no manager on this bus",
}

// explain adds the name, which the library leaves out, and the meaning to an error that came
// over D-Bus. The end of ctx closes the connection: every later error means that the time is
// up.
func explain(ctx context.Context, err error) error {
	var answer dbus.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errSilent
	case errors.Is(err, io.EOF), errors.Is(err, dbus.ErrClosed):
		return errGone
	case !errors.As(err, &answer):
		return err
	}
	short := answer.Name[strings.LastIndexByte(answer.Name, '.')+1:]
	if meaning := meaningOf(answer.Name); meaning != "" {
		return fmt.Errorf("%s (%s: %w)", meaning, short, err)
	}
	return fmt.Errorf("%s: %w", short, err)
}

func meaningOf(name string) string {
	if strings.HasPrefix(name, "org.freedesktop.DBus.Error.Spawn.") {
		return "the bus could not start a manager"
	}
	return answers[name]
}

// answered says whether an error is a certain answer.
func answered(err error, name string) bool {
	var answer dbus.Error
	return errors.As(err, &answer) && answer.Name == name
}
