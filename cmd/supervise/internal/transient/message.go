package transient

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A writer marshals values as the D-Bus specification has them ("Message Protocol"), in
// little endian, each aligned to its size from the start of the message. The zero value
// is an empty message.
type writer struct{ b []byte }

// align pads with zeros, which the specification demands.
func (w *writer) align(n int) {
	for len(w.b)%n != 0 {
		w.b = append(w.b, 0)
	}
}

// uint32 marshals type u.
func (w *writer) uint32(v uint32) {
	w.align(4)
	w.b = binary.LittleEndian.AppendUint32(w.b, v)
}

// string marshals types s and o: the length without the NUL, the bytes, and the NUL.
func (w *writer) string(s string) {
	w.uint32(uint32(len(s)))
	w.b = append(append(w.b, s...), 0)
}

// signature marshals type g, whose length is one byte, and which has no alignment.
func (w *writer) signature(s string) {
	w.b = append(append(append(w.b, byte(len(s))), s...), 0)
}

// array marshals the elements that add adds, with their length in bytes before them; that
// does not count the padding up to the first element.
func (w *writer) array(alignment int, add func()) {
	w.uint32(0)
	at := len(w.b) - 4
	w.align(alignment)
	start := len(w.b)
	add()
	binary.LittleEndian.PutUint32(w.b[at:], uint32(len(w.b)-start))
}

// field marshals one field of the header: a code and a variant.
func (w *writer) field(code byte, signature, value string) {
	w.align(8)
	w.b = append(w.b, code)
	w.signature(signature)
	if signature == "g" {
		w.signature(value)
	} else {
		w.string(value)
	}
}

// property marshals a name and a variant of a string (s), a bool (b, four bytes) or a
// list of numbers (au). A value of another type is a programmer's error, which the
// manager refuses.
func (w *writer) property(name string, value any) {
	w.align(8)
	w.string(name)
	switch v := value.(type) {
	case string:
		w.signature("s")
		w.string(v)
	case bool:
		w.signature("b")
		n := uint32(0)
		if v {
			n = 1
		}
		w.uint32(n)
	case []uint32:
		w.signature("au")
		w.array(4, func() {
			for _, n := range v {
				w.uint32(n)
			}
		})
	}
}

// startTransientUnit is the call of org.freedesktop.systemd1(5):
//
//	StartTransientUnit(in s name, in s mode, in a(sv) properties, in a(sa(sv)) aux)
func startTransientUnit(name string, properties func(w *writer)) []byte {
	w := &writer{}
	// The header has a fixed part of 16 bytes, the last four of which are the length of
	// the array of fields.
	w.b = append(w.b, 'l', 1, 0, 1) // little endian, METHOD_CALL, no flags, version
	w.uint32(0)                     // the size of the body, below
	w.uint32(1)                     // serial
	w.array(8, func() {
		w.field(1, "o", "/org/freedesktop/systemd1")
		w.field(2, "s", "org.freedesktop.systemd1.Manager")
		w.field(3, "s", "StartTransientUnit")
		w.field(6, "s", "org.freedesktop.systemd1")
		w.field(8, "g", "ssa(sv)a(sa(sv))")
	})
	w.align(8)
	start := len(w.b)
	w.string(name)
	w.string("fail")
	w.array(8, func() { properties(w) })
	w.array(8, func() {})
	binary.LittleEndian.PutUint32(w.b[4:], uint32(len(w.b)-start))
	return w.b
}

// Bytes of a message; and its types, of which the two are of interest here.
const (
	headerSize = 16 // up to the fields
	maxMessage = 1 << 20

	typeError, typeSignal = 3, 4
)

// errStrange says that a message is no D-Bus in little endian, or too long.
var errStrange = errors.New("the manager says what is not understood")

// cutMessage takes the first message off b; a nil header is one that is not there in
// full. The sizes are checked before they are added up; a message in big endian is
// errStrange.
func cutMessage(b []byte) (kind byte, header, body, rest []byte, err error) {
	if len(b) < headerSize {
		return 0, nil, nil, b, nil
	}
	bodySize, fields := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[12:])
	// b[0] is the byte order. The fields begin at 16, and the body at the next multiple
	// of 8.
	if b[0] != 'l' || bodySize > maxMessage || fields > maxMessage {
		return 0, nil, nil, nil, errStrange
	}
	start := (headerSize + int(fields) + 7) &^ 7
	end := start + int(bodySize)
	if len(b) < end {
		return 0, nil, nil, b, nil
	}
	return b[1], b[:start], b[start:end], b[end:], nil
}

// jobRemoved reads the body of that signal (u id, o job, s unit, s result); not ok: it is
// another one. The header is searched for the member's name as it is marshalled, length
// and NUL included, which no other field contains. Each length is checked before it is
// used.
func jobRemoved(header, body []byte) (unit, result string, ok bool) {
	if !bytes.Contains(header, []byte("\x0a\x00\x00\x00JobRemoved\x00")) {
		return "", "", false
	}
	at, ok := 4, true
	next := func() string {
		// The alignment of a string's length.
		at = (at + 3) &^ 3
		if !ok || at+4 > len(body) {
			ok = false
			return ""
		}
		size := int(binary.LittleEndian.Uint32(body[at:]))
		if size > maxMessage || at+4+size+1 > len(body) {
			ok = false
			return ""
		}
		s := string(body[at+4 : at+4+size])
		at += 4 + size + 1
		return s
	}
	next() // the job's path
	unit, result = next(), next()
	return unit, result, ok
}
