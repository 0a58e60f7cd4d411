package clienttest

import (
	"encoding/json"
	"slices"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/protocol"
)

// Bounds, in bytes.
const (
	pipeSize      = 64 << 10  // of what a program has written, or may read
	readSize      = 32 << 10  // one notification has at most
	maxKept       = 256 << 20 // of all running jobs
	defaultOutput = 64 << 10
)

// maxQueue is how many lines may wait for a slow owner before programs do.
const maxQueue = 1000

// An output is a captured descriptor, or what a terminal prints.
type output struct {
	job       *job
	fd        int
	pipe      []byte // written, and not taken
	left      int64  // bytes that may yet be told
	unlimited bool
	windowed  bool
	credit    int64
	text      bool
	head      []byte // the first bytes of a character
	keep      int64
	kept      []byte // the last bytes
	readers   []*reader

	told, total int64
	eof         bool
}

// A reader is a request for output that waits for a byte.
type reader struct {
	id    json.RawMessage
	p     *protocol.OutputParams
	timer *time.Timer // nil: it has waited for long enough
}

// Write is a program's. It blocks while the pipe is full, or the owner does not read.
func (o *output) Write(b []byte) (n int, err error) {
	c := o.job.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		room := pipeSize - len(o.pipe)
		switch {
		case o.eof:
			return n, syscall.EPIPE
		case room == 0 || len(c.queue) > maxQueue:
			c.changed.Wait()
			continue
		}
		part := b[:min(room, len(b))]
		o.pipe = append(o.pipe, part...)
		n, b = n+len(part), b[len(part):]
		o.pump()
	}
	return n, nil
}

// pump takes what may be told.
func (o *output) pump() {
	for len(o.pipe) > 0 && (!o.windowed || o.credit > 0) && !o.eof {
		n := min(len(o.pipe), readSize)
		if o.windowed {
			n = int(min(int64(n), o.credit))
		}
		o.take(n)
	}
	o.job.c.changed.Broadcast()
}

// take tells some bytes, keeps some, and drops the rest.
func (o *output) take(n int) {
	part := o.pipe[:n]
	o.pipe = o.pipe[n:]
	o.total += int64(n)
	if o.keep > 0 {
		o.kept = append(o.kept, part...)
		o.kept = o.kept[max(0, int64(len(o.kept))-o.keep):]
		o.answerReaders()
	}
	told := int64(n)
	if !o.unlimited {
		told = min(told, o.left)
	}
	o.left -= told
	o.credit = max(0, o.credit-told)
	o.tell(part[:told], told < int64(n))
}

// tell tells some output; of text the first bytes of a character wait for the rest.
func (o *output) tell(part []byte, last bool) {
	part = append(o.head, part...)
	o.head = nil
	if o.text && !last {
		whole := len(part) - protocol.UnfinishedText(part)
		part, o.head = part[:whole], slices.Clone(part[whole:])
	}
	if len(part) == 0 {
		return
	}
	o.told += int64(len(part))
	m := protocol.JobOutput{Job: o.job.number, FD: o.fd}
	m.Data, m.Text = protocol.TextOrData(append([]byte{}, part...), o.text)
	o.job.c.notify(protocol.NoteOutput, m)
}

// close takes the rest: the job has ended.
func (o *output) close() {
	for len(o.pipe) > 0 {
		o.take(min(len(o.pipe), readSize))
	}
	o.tell(nil, true)
	o.eof = true
	o.answerReaders()
}

func (o *output) end() protocol.OutputEnd {
	e := protocol.OutputEnd{FD: o.fd, Bytes: o.told, DroppedBytes: o.total - o.told, KeptBytes: int64(len(o.kept))}
	if o.keep > 0 {
		e.DroppedBytes = max(0, o.total-o.told-e.KeptBytes)
	}
	return e
}

// part is what a request gets now; nothing says that it may as well wait.
func (o *output) part(p *protocol.OutputParams) (r protocol.OutputResult, nothing bool) {
	oldest := o.total - int64(len(o.kept))
	asked, most := oldest, p.Max
	if p.Offset != nil {
		if asked = *p.Offset; asked < 0 {
			asked = max(oldest, o.total+asked)
		}
	}
	if most == 0 {
		most = defaultOutput
	}
	if p.Text {
		most = max(most, utf8.UTFMax)
	}
	asked = min(asked, o.total)
	from := max(asked, oldest)
	b := o.kept[from-oldest : min(o.total, from+most)-oldest]
	if p.Text && (!o.eof || protocol.UnfinishedText(b) < len(b)) {
		b = b[:len(b)-protocol.UnfinishedText(b)]
	}
	r = protocol.OutputResult{Offset: from, Next: from + int64(len(b)), Cut: from - asked, Bytes: o.total, EOF: o.eof, Ended: o.job.over}
	r.Data, r.Text = protocol.TextOrData(append([]byte{}, b...), p.Text)
	return r, len(b) == 0 && !o.eof
}

// await keeps a request that waits.
func (o *output) await(one *reader, wait time.Duration) {
	c := o.job.c
	one.timer = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		one.timer = nil
		o.answerReaders()
	})
	o.readers = append(o.readers, one)
}

func (o *output) answerReaders() {
	o.readers = slices.DeleteFunc(o.readers, func(one *reader) bool {
		part, nothing := o.part(one.p)
		if nothing && one.timer != nil {
			return false
		}
		if one.timer != nil {
			one.timer.Stop()
		}
		o.job.c.answer(one.id, part, nil)
		return true
	})
}
