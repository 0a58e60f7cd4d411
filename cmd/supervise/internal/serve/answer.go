package serve

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// notify tells the owner something. Text for which there is no room is kept, so that the
// order of notifications and answers is that of the calls. The types of the protocol
// always marshal; should one not, the exit status says so.
func (v *server) notify(method string, params any) {
	line, err := protocol.Marshal(note{"2.0", method, params})
	if err != nil {
		v.failed = errors.Join(v.failed, err)
		return
	}
	v.conn.Send(line, nil)
	v.discarded(len(line))
}

// A note is a notification of the server's. It has no id: the owner does not answer it.
type note struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// answer answers a request; descriptors, which it closes, go along with the first byte. A
// nil id becomes null, which is for text that was no request at all; a request without an
// id is not answered, which the caller sees to.
func (v *server) answer(id json.RawMessage, result any, failure *protocol.Error, fds []int) {
	r := response{JSONRPC: "2.0", ID: id, Error: failure}
	if id == nil {
		r.ID = json.RawMessage("null")
	}
	if failure == nil {
		r.Result = result
	}
	line, err := protocol.Marshal(r)
	if err != nil {
		v.failed = errors.Join(v.failed, err)
		wire.CloseAll(fds)
		return
	}
	v.conn.Send(line, fds)
	v.discarded(len(line))
}

// A response is the answer to a request: it has a result or an error, never both.
// omitempty leaves out a nil interface alone; an empty struct stays, as {}.
type response struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *protocol.Error `json:"error,omitempty"`
}

// now is the wall clock, for the time of a notification.
func now() protocol.Time { return protocol.Time{Time: time.Now()} }
