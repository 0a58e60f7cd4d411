package protocol

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// chop cuts b into pieces of the lengths in sizes, over and over; a length of 0
// is an empty piece, and all zeros are one piece.
func chop(b, sizes []byte) (pieces [][]byte) {
	if len(bytes.Trim(sizes, "\x00")) == 0 {
		return [][]byte{b}
	}
	for i := 0; len(b) > 0; i++ {
		n := min(int(sizes[i%len(sizes)]), len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// FuzzRequestDecoder: however the bytes are cut, the requests are the same, and every
// whole one of them is either taken or ignored. A message is no different, but for its
// rest.
func FuzzRequestDecoder(f *testing.F) {
	for _, c := range conversations {
		f.Add(unhex(f, c.bytes), []byte{3})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		var whole, pieces, message RequestDecoder
		want := whole.Decode(b)
		got := decodeAll(&pieces, chop(b, sizes))
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces: %v; in one: %v", got, want)
		}
		for _, r := range got {
			if again := AppendRequest(nil, r); !bytes.Contains(b, again) {
				t.Fatalf("%v is not in it", r)
			}
		}
		ignored, first := pieces.Ignored()
		if n := len(got) + ignored; n != len(b)/RequestSize || (first != nil) != (ignored > 0) {
			t.Fatalf("%d of %d requests; first ignored: %v", n, len(b)/RequestSize, first)
		}
		if err := pieces.Close(); (len(b)%RequestSize > 0) != errors.Is(err, ErrSyntax) {
			t.Fatalf("Close after %d bytes: %v", len(b), err)
		}
		short := 0 < len(b) && len(b) < RequestSize
		if got, err := message.DecodeMessage(b); !slices.Equal(got, want) || short != errors.Is(err, ErrSyntax) {
			t.Fatalf("as a message: %v, %v; else: %v", got, err, want)
		}
	})
}

// FuzzParseEvent: decode, encode, decode.
func FuzzParseEvent(f *testing.F) {
	f.Add(NewEvent(Exited, 42, 1000, 3)[:])
	f.Add(NewEvent(Continued, 1, 0, 18)[:])
	f.Add([]byte{17})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvent(b)
		if err != nil {
			if e != nil || !errors.Is(err, ErrSyntax) {
				t.Fatalf("%v, %v", e, err)
			}
			return
		}
		if !bytes.Equal(e[:], b) {
			t.Fatalf("got %x", e[:])
		}
		again, err := ParseEvent(NewEvent(e.Code(), e.PID(), e.UID(), e.Status())[:])
		if err != nil {
			t.Fatal(err)
		}
		if again.Code() != e.Code() || again.PID() != e.PID() || again.UID() != e.UID() || again.Status() != e.Status() {
			t.Fatalf("%x became %x", e[:], again[:])
		}
	})
}
