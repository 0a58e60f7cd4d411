package transient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestMessage: a library that knows D-Bus reads what we have written.
func TestMessage(t *testing.T) {
	b := startTransientUnit("a.scope", func(w *writer) {
		w.property("PIDs", []uint32{1, 4194304})
		w.property("Description", "ü €")
		w.property("Delegate", true)
		w.property("SendSIGHUP", false)
	})
	m, err := dbus.DecodeMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[dbus.HeaderField]any{
		dbus.FieldPath: dbus.ObjectPath("/org/freedesktop/systemd1"), dbus.FieldMember: "StartTransientUnit",
		dbus.FieldInterface: "org.freedesktop.systemd1.Manager", dbus.FieldDestination: "org.freedesktop.systemd1",
	} {
		if got := m.Headers[field].Value(); got != want {
			t.Errorf("field %d is %v, want %v", field, got, want)
		}
	}
	properties := [][]any{
		{"PIDs", dbus.MakeVariant([]uint32{1, 4194304})}, {"Description", dbus.MakeVariant("ü €")},
		{"Delegate", dbus.MakeVariant(true)}, {"SendSIGHUP", dbus.MakeVariant(false)},
	}
	if len(m.Body) != 4 || m.Body[0] != "a.scope" || m.Body[1] != "fail" || !reflect.DeepEqual(m.Body[2], properties) {
		t.Errorf("body %v", m.Body)
	}
}

// encode is what a manager writes.
func encode(t testing.TB, m *dbus.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.EncodeTo(&b, binary.LittleEndian); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func removed(t testing.TB, unit, result string) []byte {
	return encode(t, &dbus.Message{
		Type: dbus.TypeSignal,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")), dbus.FieldMember: dbus.MakeVariant("JobRemoved"),
			dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
			dbus.FieldSignature: dbus.MakeVariant(dbus.ParseSignatureMust("uoss")),
		},
		Body: []any{uint32(7), dbus.ObjectPath("/org/freedesktop/systemd1/job/7"), unit, result},
	})
}

func refusal(t testing.TB) []byte {
	return encode(t, &dbus.Message{
		Type: dbus.TypeError,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(uint32(1)), dbus.FieldErrorName: dbus.MakeVariant("org.freedesktop.systemd1.UnitExists"),
		},
	})
}

const greeting = "DATA\r\nOK 0123456789abcdef\r\n"

// TestStart: managers of all kinds. Answer gets the name of the unit that it was asked for.
func TestStart(t *testing.T) {
	tests := []struct {
		name   string
		answer func(t *testing.T, c net.Conn, unit string)
		want   string // part of the error; "": none
	}{
		{"done", func(t *testing.T, c net.Conn, unit string) {
			c.Write([]byte(greeting))
			c.Write(removed(t, "other.scope", "failed"))
			c.Write(removed(t, unit, "done"))
		}, ""},
		{"a byte at a time", func(t *testing.T, c net.Conn, unit string) {
			for _, b := range append([]byte(greeting), removed(t, unit, "done")...) {
				c.Write([]byte{b})
			}
		}, ""},
		{"failed", func(t *testing.T, c net.Conn, unit string) {
			c.Write(append([]byte(greeting), removed(t, unit, "failed")...))
		}, `the manager's job ended as "failed"`},
		{"refuses", func(t *testing.T, c net.Conn, unit string) { c.Write(append([]byte(greeting), refusal(t)...)) }, ErrTryHelper.Error()},
		{"rejects", func(t *testing.T, c net.Conn, unit string) { c.Write([]byte("REJECTED EXTERNAL\r\n")) }, ErrTryHelper.Error()},
		{"hangs up", func(t *testing.T, c net.Conn, unit string) { c.Close() }, ErrTryHelper.Error()},
		{"is silent", func(t *testing.T, c net.Conn, unit string) { c.Write([]byte(greeting)) }, ErrSilent.Error()},
		{"big endian", func(t *testing.T, c net.Conn, unit string) {
			c.Write([]byte(greeting + "B" + strings.Repeat("\x01", 20)))
		}, errStrange.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "private")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan struct{})
			go func() { // ends with the connection
				defer close(served)
				if c, err := l.Accept(); err == nil {
					defer c.Close()
					tt.answer(t, c, readRequest(t, c))
					c.Read(make([]byte, 1)) // until we are hung up on
				}
			}()
			limit := time.Minute
			if tt.want == ErrSilent.Error() {
				limit = 300 * time.Millisecond
			}
			manager := dialAt(socket)
			unit, err := manager.Start(Request{Description: "a\nb\\", Slice: "x", Timeout: limit})
			if tt.want == "" && (err != nil || !strings.HasPrefix(unit, "supervise-")) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%q, %v", unit, err)
			}
			manager.Close()
			<-served
		})
	}
}

// readRequest returns the name of the unit that is asked for.
func readRequest(t *testing.T, c net.Conn) string {
	greeting := make([]byte, len(handshake))
	io.ReadFull(c, greeting)
	ok := string(greeting) == handshake
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	b = b[:n]
	m, err := dbus.DecodeMessage(bytes.NewReader(b))
	if !ok || err != nil {
		t.Errorf("request %q: %v", b, err)
		return ""
	}
	return m.Body[0].(string)
}

func TestNobody(t *testing.T) {
	if _, err := dial(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrTryHelper) {
		t.Error(err)
	}
}

func TestLegible(t *testing.T) {
	for in, want := range map[string]string{"a b": "a b", "a\nb\x1b": "a b", "x\\": "x", "\xff": "?", strings.Repeat("ü", 300): strings.Repeat("ü", 200)} {
		if got := legible(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// FuzzLook: no panic on whatever a manager says, and nothing is done that was not said.
func FuzzLook(f *testing.F) {
	f.Add(removed(f, "a.scope", "done"))
	f.Add(removed(f, "a.scope", "failed"))
	f.Add(refusal(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, done, _ := look(bytes.Clone(b), "a.scope"); done && !bytes.Contains(b, []byte("JobRemoved")) {
			t.Errorf("%q is taken for the end of the job", b)
		}
		cutGreeting(b)
	})
}
