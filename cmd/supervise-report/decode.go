package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A decoded value is a record or a sample, or neither: a message of a server that is not about
// these.
type decoded struct {
	record   *protocol.Record
	sample   *sample
	job      int                   // of a server's message
	commands []protocol.CommandEnd // of a pipeline
}

// errForeign says that a value is nothing of supervise's.
var errForeign = errors.New("neither a record nor a sample; 'supervise run --record FILE --samples FILE' writes them")

// A probe is what tells the values apart.
type probe struct {
	Schema  *string          `json:"schema"`
	JSONRPC *string          `json:"jsonrpc"`
	Method  string           `json:"method"`
	Params  json.RawMessage  `json:"params"`
	Time    *json.RawMessage `json:"time"`
	WallS   *json.RawMessage `json:"wall_s"`
}

// beginning is that of a record as supervise writes it: no probe is needed.
var beginning = []byte(`{"schema":"` + protocol.RecordSchema + `",`)

// decode reads a JSON text.
func decode(text []byte) (d decoded, err error) {
	if bytes.HasPrefix(text, beginning) {
		d.record, err = decodeRecord(text)
		return d, err
	}
	var p probe
	if err := json.Unmarshal(text, &p); err != nil {
		return d, errForeign
	}
	switch {
	case p.JSONRPC != nil:
		return decodeMessage(p)
	case p.Schema != nil && *p.Schema == protocol.RecordSchema:
		d.record, err = decodeRecord(text)
	case p.Schema != nil:
		err = fmt.Errorf("the schema is %.60q, and this program reads %q; %w", *p.Schema, protocol.RecordSchema, errForeign)
	case p.Time != nil && p.WallS != nil:
		d.sample, err = decodeSample(text)
	default:
		err = errForeign
	}
	return d, err
}

// decodeMessage reads a message of "supervise serve": a record is in ended, a sample in sample.
func decodeMessage(p probe) (d decoded, err error) {
	switch p.Method {
	case protocol.NoteEnded:
		var ended protocol.JobEnded
		if err := protocol.Unmarshal(p.Params, &ended); err != nil {
			return d, explain(err)
		}
		if ended.Record == nil {
			return d, errors.New("ended without a record")
		}
		d.job, d.record, d.commands = ended.Job, ended.Record, ended.Commands
		err = checkRecord(d.record)
	case protocol.NoteSample:
		var about struct {
			Job int `json:"job"`
		}
		if err := json.Unmarshal(p.Params, &about); err != nil {
			return d, explain(err)
		}
		d.job = about.Job
		d.sample, err = decodeSample(p.Params)
	}
	return d, err
}

func decodeRecord(text []byte) (*protocol.Record, error) {
	r := new(protocol.Record)
	if err := protocol.Unmarshal(text, r); err != nil {
		return nil, explain(err)
	}
	return r, checkRecord(r)
}

// checkRecord refuses what could not be drawn.
func checkRecord(r *protocol.Record) error {
	switch {
	case r.Started.IsZero():
		return errors.New("a record without the time of its start (started)")
	case r.WallS < 0 || r.WallS > longest:
		return fmt.Errorf("wall_s is %g: no time that a job can have taken", r.WallS)
	}
	for _, p := range r.Phases {
		if p.WallS < 0 || p.WallS > longest {
			return fmt.Errorf("wall_s of phase %.60q is %g: no time that it can have taken", p.Name, p.WallS)
		}
	}
	return nil
}

// longest is how long a job can have run, in seconds: a hundred years.
const longest = 100 * 365 * 86400

// A sample is what is kept of one: there may be very many.
type sample struct {
	point
	started time.Time // of the job
}

func decodeSample(text []byte) (*sample, error) {
	var s protocol.Sample
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, explain(err)
	}
	if s.Time.IsZero() || s.WallS < 0 || s.WallS > longest {
		return nil, fmt.Errorf("a sample at %g s of no job", s.WallS)
	}
	return &sample{pointOf(&s), s.Time.Add(-seconds(s.WallS))}, nil
}

// explain says what is wrong with a value that is JSON.
func explain(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("%s is a %s, where %s is wanted (man supervise.record)", wrong.Field, wrong.Value, wrong.Type)
	}
	return err
}
