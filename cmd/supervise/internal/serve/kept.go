package serve

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/seed-c1490a04/supervise/protocol"
)

// defaultOutput is how many bytes one answer has at most if the owner says nothing.
const defaultOutput = 64 << 10

// A kept is the last bytes that a descriptor of a job has written. Byte i of the output, from
// 0, is at i%most of the ring: so the ring grows only up to that, and nothing is ever moved.
type kept struct {
	number int // of the descriptor
	most   int64
	ring   []byte
	total  int64 // bytes written
	eof    bool  // no byte will follow
	ended  bool  // nor does the job go on

	readers []*reader
	stalled bool // the readers are to be answered when the owner reads again
}

// A reader is a request for output that waits for a byte.
type reader struct {
	id    json.RawMessage
	p     *protocol.OutputParams
	alarm *alarm // nil: it has waited long enough
}

// size is how many bytes are there.
func (k *kept) size() int64 { return int64(len(k.ring)) }

// oldest is the offset of the oldest byte that is there.
func (k *kept) oldest() int64 { return k.total - k.size() }

// add keeps some bytes and answers those that have waited for one.
func (k *kept) add(v *server, b []byte) {
	if skip := int64(len(b)) - k.most; skip > 0 {
		k.total += skip
		b = b[skip:]
		k.ring = slices.Grow(k.ring, int(k.most)-len(k.ring))[:k.most]
	}
	if room := k.most - k.size(); room > 0 && k.total == k.size() {
		n := min(room, int64(len(b)))
		k.ring = append(k.ring, b[:n]...)
		k.total += n
		b = b[n:]
	}
	for len(b) > 0 {
		n := copy(k.ring[k.total%k.most:], b)
		k.total += int64(n)
		b = b[n:]
	}
	k.answerReaders(v)
}

// bytes returns those from one offset to another, which are there.
func (k *kept) bytes(from, to int64) []byte {
	b := make([]byte, 0, to-from)
	for from < to {
		at := from % k.most
		n := min(to-from, k.size()-at)
		b = append(b, k.ring[at:at+n]...)
		from += n
	}
	return b
}

// finish says that no byte will follow.
func (k *kept) finish(v *server) {
	k.eof = true
	k.answerReaders(v)
}

// part is what a request gets now; nothing says that it may as well wait.
func (k *kept) part(p *protocol.OutputParams) (result *protocol.OutputResult, nothing bool) {
	asked, most := k.oldest(), p.Max
	if p.Offset != nil {
		if asked = *p.Offset; asked < 0 {
			asked = max(k.oldest(), k.total+asked)
		}
	}
	if most == 0 {
		most = defaultOutput
	}
	if p.Text {
		most = max(most, utf8.UTFMax) // else one character may be too long
	}
	asked = min(asked, k.total)
	from := max(asked, k.oldest())
	b := k.bytes(from, min(k.total, from+most))
	if p.Text {
		if from > 0 && (p.Offset == nil || *p.Offset < from) { // the owner does not know where it is within a character
			rest := b
			for len(rest) > 0 && len(b)-len(rest) < utf8.UTFMax-1 && !utf8.RuneStart(rest[0]) {
				rest = rest[1:]
			}
			from += int64(len(b) - len(rest))
			b = rest
		}
		if rest := protocol.UnfinishedText(b); rest < len(b) || !k.eof {
			b = b[:len(b)-rest]
		}
	}
	result = &protocol.OutputResult{Offset: from, Next: from + int64(len(b)), Cut: from - asked, Bytes: k.total, EOF: k.eof, Ended: k.ended}
	result.Data, result.Text = protocol.TextOrData(b, p.Text)
	return result, len(b) == 0 && !k.eof
}

// answerReaders answers the requests for which there is something, and those that have
// waited long enough, for as long as the owner takes it: an answer may be large.
func (k *kept) answerReaders(v *server) {
	for i := 0; i < len(k.readers) && !k.stalled; {
		one := k.readers[i]
		result, nothing := k.part(one.p)
		switch {
		case nothing && one.alarm != nil:
			i++
			continue
		case v.blocked():
			k.stalled = true
			v.waiting = append(v.waiting, func() { k.stalled = false; k.answerReaders(v) })
			return
		}
		k.answerReader(v, i, result)
	}
}

// answerReader answers one of the requests.
func (k *kept) answerReader(v *server, i int, result *protocol.OutputResult) {
	one := k.readers[i]
	k.readers = slices.Delete(k.readers, i, i+1)
	v.waits--
	v.kept -= len(one.id)
	v.timer.cancel(one.alarm)
	v.answer(one.id, result, nil, nil)
	v.conn.Flush()
}

// expire answers a request that has waited long enough. The others are not looked at: of many
// that wait each would look at all.
func (k *kept) expire(v *server, one *reader) {
	one.alarm = nil
	if i := slices.Index(k.readers, one); i >= 0 && !k.stalled && !v.blocked() {
		result, _ := k.part(one.p)
		k.answerReader(v, i, result)
		return
	}
	k.answerReaders(v)
}

// output answers with output that is kept. It gives -32004 if nothing is kept of the job,
// -32602 if not of the descriptor, and -32003 if too many requests wait.
func (r *request) output() (any, error) {
	var p protocol.OutputParams
	if err := r.params(&p); err != nil {
		return nil, err
	}
	wait, err := durationOf("wait", p.Wait)
	switch {
	case err != nil:
		return nil, err
	case p.Max < 0 || p.Max > protocol.MaxOutput:
		return nil, failure(protocol.CodeInvalidParams, "max", "max: want 0 to %d bytes", protocol.MaxOutput)
	}
	k, err := r.v.keptOf(p.Job, descriptor(p.FD, 1))
	if err != nil {
		return nil, err
	}
	result, nothing := k.part(&p)
	if !nothing || wait == 0 || r.ID == nil {
		return result, nil
	}
	return nil, r.await(k, &p, wait)
}

// keptOf finds what is kept of a descriptor of a job, which may have ended.
func (v *server) keptOf(number, fd int) (*kept, error) {
	var all []*kept
	if j := v.jobs[number]; j != nil {
		all = j.kept()
	} else {
		all = v.archive.jobs[number]
	}
	if i := slices.IndexFunc(all, func(k *kept) bool { return k.number == fd }); i >= 0 {
		return all[i], nil
	}
	if len(all) == 0 && v.jobs[number] == nil {
		return nil, failure(protocol.CodeNoJob, "job", "nothing is kept of a job %d", number)
	}
	return nil, failure(protocol.CodeInvalidParams, "fd", "nothing is kept of descriptor %d of job %d", fd, number)
}

// kept lists what is kept of a job.
func (j *job) kept() (all []*kept) {
	for _, o := range j.outputs {
		if o.kept != nil {
			all = append(all, o.kept)
		}
	}
	return all
}

// await has the request answered when there is a byte, or the time is up.
func (r *request) await(k *kept, p *protocol.OutputParams, wait time.Duration) (err error) {
	v := r.v
	if v.waits >= maxWaits || v.kept >= maxKept {
		return failure(protocol.CodeTooMany, "", "too many requests wait already")
	}
	one := &reader{id: r.ID, p: p}
	one.alarm, err = v.timer.after(wait, func() { k.expire(v, one) })
	if err != nil {
		return err
	}
	k.readers, r.late = append(k.readers, one), true
	v.waits++
	v.kept += len(one.id)
	return nil
}
