package systemd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// handshake is the client's part of the authentication (D-Bus specification, "Authentication
// Protocol"), sent at once, as sd-bus does. DATA without data has the server take our user
// from SO_PEERCRED. godbus sends one line at a time and waits for each answer: the switches
// between two processes take a third of the time that a scope takes.
const handshake = "\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"

var errRejected = errors.New("it does not believe that we are who we are")

// shakeHands authenticates, and returns a connection that owns the socket. On an
// error the socket stays the caller's.
func shakeHands(ctx context.Context, socket net.Conn) (*dbus.Conn, error) {
	// A deadline in the past ends a pending read; the end of ctx sets one.
	stop := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(socket, handshake); err != nil {
		return nil, err
	}
	in := bufio.NewReader(socket)
	for _, want := range []string{"DATA", "OK "} {
		if err := expect(in, want); err != nil {
			return nil, err
		}
	}
	conn, err := dbus.NewConn(&shaken{io.MultiReader(strings.NewReader(prompter), in), socket, false}, dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal("")}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// expect reads one line of the other side's part.
func expect(in *bufio.Reader, want string) error {
	line, err := in.ReadSlice('\n')
	switch {
	case bytes.HasPrefix(line, []byte("REJECTED")):
		return errRejected
	case err != nil:
		return err
	case !bytes.HasPrefix(line, []byte(want)):
		return fmt.Errorf("it says %q, where %q belongs", line, want)
	}
	return nil
}

// prompter holds the answers for godbus, which asks for the mechanisms, takes the one offered,
// and begins.
const prompter = "REJECTED EXTERNAL\r\nOK 0\r\n"

// shaken is a socket whose handshake is over: it drops godbus's lines up to BEGIN. It passes no
// descriptors, so that godbus does not negotiate that.
type shaken struct {
	io.Reader
	io.WriteCloser
	begun bool
}

func (s *shaken) Write(p []byte) (int, error) {
	if s.begun {
		return s.WriteCloser.Write(p)
	}
	s.begun = string(p) == "BEGIN\r\n"
	return len(p), nil
}
