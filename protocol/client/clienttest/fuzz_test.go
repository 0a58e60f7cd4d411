package clienttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// FuzzConversation: whatever an owner says, all that it is told is JSON, and the conversation
// ends, with its programs.
func FuzzConversation(f *testing.F) {
	f.Fuzz(func(t *testing.T, said []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := NewServer()
			s.Handle("cat", cat)
			s.Handle("true", Script{}.Run)
			o := &owner{Reader: bytes.NewReader(said)}
			s.Serve(o)
			for line := range bytes.Lines(o.told.Bytes()) {
				if !json.Valid(line) {
					t.Errorf("%q", line)
				}
			}
		})
	})
}

// An owner says something, and is gone.
type owner struct {
	*bytes.Reader
	told   bytes.Buffer
	closed bool
}

func (o *owner) Write(b []byte) (int, error) {
	if o.closed {
		return 0, errors.New("closed")
	}
	return o.told.Write(b)
}

func (o *owner) Close() error {
	o.closed = true
	return nil
}

var _ io.ReadWriteCloser = (*owner)(nil)
