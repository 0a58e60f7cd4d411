package protocol

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A TextDecoder takes the requests of the text protocol, all of which are for the main
// process.
type TextDecoder struct {
	PID  int32  // of the main process; 0: it has ended, and requests for it are dropped
	rest []byte // of an unfinished line
	nonsense
}

// maxTextLine bounds in bytes what is kept of an unfinished line.
const maxTextLine = 4096

// Decode returns the requests of the lines completed by b. It keeps what is unfinished,
// and not b.
func (d *TextDecoder) Decode(b []byte) (requests []Request) {
	b = append(d.rest, b...)
	for line, rest, ok := bytes.Cut(b, []byte{'\n'}); ok; line, rest, ok = bytes.Cut(b, []byte{'\n'}) {
		requests, b = d.appendRequest(requests, string(line)), rest
	}
	if len(b) > maxTextLine {
		d.ignore("a line that does not end")
		b = nil
	}
	d.rest = append([]byte(nil), b...)
	return requests
}

// DecodeMessage returns the requests of a message of a socket that keeps message
// boundaries, which end a line as well. There is no error.
func (d *TextDecoder) DecodeMessage(b []byte) ([]Request, error) {
	requests := d.Decode(b)
	line := string(d.rest)
	d.rest = nil
	return d.appendRequest(requests, line), nil
}

// Close says that the stream may end anywhere.
func (d *TextDecoder) Close() error { return nil }

func (d *TextDecoder) appendRequest(to []Request, line string) []Request {
	words := strings.Fields(line)
	if len(words) == 0 {
		return to
	}
	if len(words) == 2 && words[0] == "signal" {
		if sig, err := strconv.Atoi(words[1]); err == nil && 0 <= sig && sig <= maxSignal {
			if d.PID == 0 {
				return to
			}
			return append(to, Request{PID: d.PID, Signal: int32(sig)})
		}
	}
	d.ignore("%.60q, and not \"signal N\" with 0 to %d", line, maxSignal)
	return to
}

// Lines of the text protocol that are about no process.
const (
	TextNoChildren  = "no_children\n"
	TextTerminating = "terminating\n"
)

// TextPID is the first line of the text protocol.
func TextPID(pid int) string { return fmt.Sprintf("pid %d\n", pid) }

// TextEnd is the line about the end of the main process; "": the event is about another
// change of its status.
func TextEnd(e *Event) string {
	switch e.Code() {
	case Exited:
		return fmt.Sprintf("exited %d\n", e.Status())
	case Killed:
		return fmt.Sprintf("killed %d\n", e.Status())
	case Dumped:
		return fmt.Sprintf("dumped %d\n", e.Status())
	}
	return ""
}
