// Package transient asks a systemd manager, over the manager's own socket, for a
// delegated scope around this process: the one request with which every job under systemd
// begins, in one message each way. It is spoken by hand, for the program that knows D-Bus
// (supervise-scope) takes 2.5 ms more, most of it to start. That program does everything
// else about systemd, and this request too where anything is not as usual.
//
// The manager's private socket has no bus in between: no Hello, no names, no match rules.
// Signals come to every connection, among them JobRemoved, which says that the scope is
// there.
package transient

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// ErrTryHelper says that nothing was asked for, or nothing granted, and that
// supervise-scope, which knows more, may try.
var ErrTryHelper = errors.New("not a usual place")

// ErrSilent says that the manager did not answer in time; it may yet carry out the
// request, so the helper must not repeat it.
var ErrSilent = errors.New("no answer in time; the manager may be stopped, or busy")

// A Request describes the scope. Description is free text: see legible.
type Request struct {
	Description string
	Slice       string        // "": the manager's choice
	Timeout     time.Duration // for all of it
}

// handshake is all that a client says before the first message (D-Bus specification,
// "Authentication Protocol"): the manager knows the user by SO_PEERCRED. It is sent
// without a wait for the answers, which saves two round trips.
const handshake = "\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"

// A Manager is a connection to the manager of this user.
type Manager struct {
	fd  int
	err error // why there is none
}

// Dial connects and greets. The manager, which sleeps as a rule, deals with that while this process
// goes on. An error is Start's.
func Dial() *Manager { return dialAt(socketPath()) }

// dialAt is Dial with the manager's socket as an argument, for the tests.
func dialAt(socket string) *Manager {
	m := &Manager{}
	if m.fd, m.err = dial(socket); m.err != nil {
		return m
	}
	// It fits into the empty buffer of a new socket, as the request does: no write is partial.
	if n, err := unix.Write(m.fd, []byte(handshake)); err != nil || n != len(handshake) {
		m.Close()
		m.err = ErrTryHelper
	}
	return m
}

// Close ends the connection, once.
func (m *Manager) Close() {
	if m.fd >= 0 {
		unix.Close(m.fd)
	}
	m.fd = -1
}

// Start has the manager make a scope and move this process into it. It returns the name of the
// unit. The scope lives until its last process has ended.
func (m *Manager) Start(r Request) (unit string, err error) {
	if m.err != nil {
		return "", m.err
	}
	deadline := time.Now().Add(r.Timeout)
	unit = newName()
	message := startTransientUnit(unit, func(w *writer) {
		w.property("PIDs", []uint32{uint32(os.Getpid())})
		w.property("Description", legible(r.Description))
		// A scope that has failed would otherwise stay loaded until it is reset.
		w.property("CollectMode", "inactive-or-failed")
		w.property("SendSIGHUP", false)
		w.property("Delegate", true)
		if r.Slice != "" {
			w.property("Slice", strings.TrimSuffix(r.Slice, ".slice")+".slice")
		}
	})
	if n, err := unix.Write(m.fd, message); err != nil || n != len(message) {
		return "", ErrTryHelper
	}
	return unit, await(m.fd, unit, deadline)
}

// socketPath is where the manager listens: the user's, or for root the system's. The
// directory is the one that pam_systemd names, or would.
func socketPath() string {
	if os.Geteuid() == 0 {
		return "/run/systemd/private"
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = "/run/user/" + strconv.Itoa(os.Geteuid())
	}
	return dir + "/systemd/private"
}

// dial connects to a manager of the same user in the same PID namespace: the request
// names this process by its pid. The kernel gives a peer from another namespace pid 0.
// The caller closes the descriptor.
func dial(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		peer, e := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err = e; err == nil && peer.Pid != 0 && int(peer.Uid) == os.Geteuid() {
			return fd, nil
		}
	}
	unix.Close(fd)
	return -1, ErrTryHelper
}

// await reads until the manager's job for the unit is done: the answer to the call comes
// earlier, when this process may not have been moved yet. Bytes are kept over reads, as a
// message may come in pieces.
func await(fd int, unit string, deadline time.Time) error {
	var b []byte
	greeted := false
	for {
		chunk, err := read(fd, deadline)
		if err != nil {
			return err
		}
		b = append(b, chunk...)
		if !greeted {
			if b, greeted = cutGreeting(b); !greeted && isRejection(b) {
				return ErrTryHelper
			}
			if !greeted {
				continue
			}
		}
		var done bool
		if b, done, err = look(b, unit); done || err != nil {
			return err
		}
	}
}

// cutGreeting takes the two lines of the handshake's other half off b, if they are
// there: DATA, and OK with a number.
func cutGreeting(b []byte) (rest []byte, ok bool) {
	_, line, ok := bytes.Cut(b, []byte("\nOK "))
	if !ok {
		return b, false
	}
	_, rest, ok = bytes.Cut(line, []byte("\n"))
	if !ok {
		return b, false
	}
	return rest, true
}

// isRejection says whether the handshake has failed. Text without end counts as a
// failure.
func isRejection(b []byte) bool {
	return len(b) > maxMessage || bytes.HasPrefix(b, []byte("REJECTED")) || bytes.HasPrefix(b, []byte("ERROR"))
}

// look goes through the messages that are there; done: the unit is started. Signals about
// other units are passed over, and so is the answer to the call, which says no more than
// its end.
func look(b []byte, unit string) (rest []byte, done bool, err error) {
	for {
		kind, header, body, rest, err := cutMessage(b)
		if err != nil || header == nil {
			return rest, false, err
		}
		b = rest
		switch kind {
		case typeError: // the only call was ours
			return nil, false, ErrTryHelper
		case typeSignal:
			if name, result, ok := jobRemoved(header, body); ok && name == unit {
				if result != "done" {
					return nil, false, fmt.Errorf("starting %s: the manager's job ended as %q", unit, result)
				}
				return nil, true, nil
			}
		}
	}
}

// read waits for more, until the deadline. The descriptor does not block, so a wake-up
// without data does no harm.
func read(fd int, deadline time.Time) ([]byte, error) {
	buf := make([]byte, 8192)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, ErrSilent
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		n, err := unix.Read(fd, buf)
		switch {
		case n > 0:
			return buf[:n], nil
		case err != unix.EAGAIN && err != unix.EINTR:
			return nil, ErrTryHelper // it has hung up
		}
	}
}

// newName draws a name. It need not be checked: mode "fail" refuses one that is taken.
func newName() string {
	return "supervise-" + strconv.FormatUint(1<<32|uint64(rand.Uint32()), 16)[1:] + ".scope"
}

// legible makes of a text one that D-Bus takes (UTF-8) and that fits into a line of
// the unit's file, where a backslash at the end would join the next line to it.
func legible(text string) string {
	const most = 200 // characters
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return strings.TrimRight(text, "\\ ")
}
