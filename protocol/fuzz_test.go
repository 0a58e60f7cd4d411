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

// FuzzRequestDecoder: however the bytes are cut, the requests are the same, and
// they are the bytes consumed.
func FuzzRequestDecoder(f *testing.F) {
	for _, c := range conversations {
		f.Add(unhex(f, c.bytes), []byte{3})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		var whole, pieces RequestDecoder
		want, wantErr := whole.Decode(b)
		got, err := decodeAll(&pieces, chop(b, sizes))
		if !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("in pieces: %v, %v; in one: %v, %v", got, err, want, wantErr)
		}
		var again []byte
		for _, r := range got {
			again = AppendRequest(again, r)
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("encoding the requests gives %x", again)
		}
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%v is not ErrSyntax", err)
			}
			return
		}
		if rest := len(b) - len(again); rest >= RequestSize {
			t.Fatalf("%d bytes are left", rest)
		} else if err := pieces.Close(); (rest > 0) != errors.Is(err, ErrSyntax) {
			t.Fatalf("Close with %d bytes left: %v", rest, err)
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
