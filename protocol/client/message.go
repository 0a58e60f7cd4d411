package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A message is what the reader makes of a line.
type message struct {
	err error // the last: nothing more will come

	answer  bool
	id      int64
	result  json.RawMessage
	refusal *protocol.Error

	event Event // else; without a method it is nothing to us
}

type decoder func(json.RawMessage) (Event, error)

func decoderOf[T any](job func(*T) int) decoder {
	return func(b json.RawMessage) (Event, error) {
		p := new(T)
		if err := protocol.Unmarshal(b, p); err != nil {
			return Event{}, err
		}
		return Event{Job: job(p), Params: p}, nil
	}
}

// decoders know the parameters of notifications, and the job in them.
var decoders = map[string]decoder{
	protocol.NoteStarted:   decoderOf(func(p *protocol.JobStarted) int { return p.Job }),
	protocol.NoteStopped:   decoderOf(func(p *protocol.JobStopped) int { return p.Job }),
	protocol.NoteContinued: decoderOf(func(p *protocol.JobContinued) int { return p.Job }),
	protocol.NoteReady:     decoderOf(func(p *protocol.JobReady) int { return p.Job }),
	protocol.NoteExited:    decoderOf(func(p *protocol.ProcessExited) int { return p.Job }),
	protocol.NoteOutput:    decoderOf(func(p *protocol.JobOutput) int { return p.Job }),
	protocol.NoteOOM:       decoderOf(func(p *protocol.LimitHit) int { return p.Job }),
	protocol.NoteLimit:     decoderOf(func(p *protocol.LimitHit) int { return p.Job }),
	protocol.NotePressure:  decoderOf(func(p *protocol.PressureHit) int { return p.Job }),
	protocol.NoteSample:    decoderOf(func(p *protocol.JobSample) int { return p.Job }),
	protocol.NoteEnded:     decoderOf(func(p *protocol.JobEnded) int { return p.Job }),
}

// decode reads a line. An error means that the other side does not speak the protocol.
func decode(line []byte) (message, error) {
	var m protocol.Message
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("reading a message: %w", err)
	}
	if m.JSONRPC != "2.0" {
		return message{}, errors.New("reading a message: it is not JSON-RPC 2.0")
	}
	if m.Method != "" {
		return decodeNotice(m)
	}
	return decodeAnswer(m)
}

func decodeNotice(m protocol.Message) (message, error) {
	if len(m.ID) > 0 {
		return message{}, nil // a request: none is known that a supervisor has
	}
	d := decoders[m.Method]
	if d == nil {
		return message{event: Event{Method: m.Method, Job: jobOf(m.Params), Params: m.Params}}, nil
	}
	e, err := d(m.Params)
	if err != nil {
		return message{}, fmt.Errorf("reading %s: %w", m.Method, err)
	}
	if p, ok := e.Params.(*protocol.JobEnded); ok && p.Record == nil {
		return message{}, errors.New("reading ended: there is no record")
	}
	e.Method = m.Method
	return message{event: e}, nil
}

// jobOf is the job that an unknown notification is about, or 0.
func jobOf(params json.RawMessage) int {
	var p protocol.JobParams
	if json.Unmarshal(params, &p) != nil {
		return 0
	}
	return p.Job
}

// decodeAnswer: an error without an id answers a request that could not be read. One of
// ours will never be answered then, so it is the end.
func decodeAnswer(m protocol.Message) (message, error) {
	id, err := strconv.ParseInt(string(m.ID), 10, 64)
	switch {
	case m.Error != nil && (len(m.ID) == 0 || string(m.ID) == "null"):
		return message{}, fmt.Errorf("a request was not understood: %w", m.Error)
	case err != nil:
		return message{}, fmt.Errorf("reading an answer: its id is %.20q", string(m.ID))
	}
	return message{answer: true, id: id, result: m.Result, refusal: m.Error}, nil
}

// encode makes the line of a request, or, if the id is 0, of a notification.
func encode(id int64, method string, params any) ([]byte, error) {
	m := protocol.Message{JSONRPC: "2.0", Method: method}
	var err error
	if id != 0 {
		m.ID = strconv.AppendInt(nil, id, 10)
	}
	if params != nil {
		if m.Params, err = marshal(params); err != nil {
			return nil, fmt.Errorf("supervise: writing %s: %w", method, err)
		}
	}
	line, err := marshal(m)
	if err != nil {
		return nil, fmt.Errorf("supervise: writing %s: %w", method, err)
	}
	if len(line) > protocol.MaxRequest {
		text := fmt.Sprintf("the request has %d bytes, more than %d", len(line), protocol.MaxRequest)
		failure := &protocol.Error{Code: protocol.CodeTooLong, Message: text, Data: &protocol.ErrorData{Errno: "E2BIG"}}
		return nil, &CallError{Method: method, Err: failure}
	}
	return line, nil
}

// marshal is json.Marshal, and the end of the line, without escapes for HTML: those of a
// long argument that is full of them would be more than a request may have.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
