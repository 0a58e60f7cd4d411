package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

// A loop owns all that is known of a connection. Everything else only blocks and
// sends to it.
//
//	Call, Start ──requests──▶ ┌──────┐ ──writes──▶ writer ──▶ socket
//	        Wait ──waits────▶ │ loop │ ◀─written──
//	        Close ─closing──▶ └──────┘ ◀─incoming─ reader ◀── socket
//	                            │ └──events──▶ Conn.Events
//	                            └ closes call.done, job.ended
//
// It blocks only in its select, so that no caller waits for another:
//
//   - A request is accepted when the one before it is written, so that requests do not
//     pile up here if the supervisor does not read.
//   - Nothing is read while there is an event more than Conn.Events holds. So the
//     supervisor stops sending, and no memory grows.
//   - But while a call waits for its answer everything is read, and the events in
//     between are kept in spill: the answer comes soon, and there are not many before it.
//   - A Wait may take as long as its job. It waits until the events are read, and if
//     none is for too long, then there will be no more of them (patience).
type loop struct {
	*Conn
	patience time.Duration

	writes   chan *call // has room for one
	written  chan wrote // has room for one
	incoming chan message

	calls   map[int64]*call // sent, not answered
	jobs    map[int]*job    // started, not ended
	soon    int             // calls that will be answered soon
	waiting int             // Waits, and other calls
	writing bool            // the writer is at work
	kills   []*call         // for jobs whose callers have given up
	lost    error           // nothing can be written any more

	spill    []Event       // those that Conn.Events has no room for
	stopped  bool          // there are no events any more
	timer    *time.Timer   // runs while a Wait is held up by events
	closes   chan struct{} // Conn.closing, nil once it was seen
	failed   bool          // the reader has ended
	attended chan struct{} // closed when the writer has ended
}

func newLoop(c *Conn, patience time.Duration) *loop {
	return &loop{
		Conn: c, patience: patience, closes: c.closing, stopped: c.events == nil,
		writes: make(chan *call, 1), written: make(chan wrote, 1), incoming: make(chan message),
		calls: map[int64]*call{}, jobs: map[int]*job{}, attended: make(chan struct{}),
	}
}

func (l *loop) run() {
	go l.read()  // ends at the end of input, which it tells last
	go l.write() // ends when writes is closed
	for !l.ended() {
		l.step()
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.events != nil {
		close(l.events)
	}
	close(l.done)
}

// ended: the connection is, and its events were read or will not be.
func (l *loop) ended() bool { return l.failed && (len(l.spill) == 0 || l.closes == nil) }

func (l *loop) step() {
	select {
	case m := <-l.readable():
		l.receive(m)
	case k := <-l.acceptable():
		l.accept(k)
	case w := <-l.written:
		l.wrote(w)
	case k := <-l.abandoned:
		l.abandon(k)
	case j := <-l.waits:
		l.wait(j)
	case j := <-l.leaves:
		l.leave(j)
	case l.deliverable() <- l.head():
		l.spill = l.spill[1:]
		l.calm()
	case <-l.alarm():
		l.stopEvents()
	case <-l.closes:
		l.closes = nil
		l.hangUp()
	}
}

// readable is nil while events are to be read first.
func (l *loop) readable() <-chan message {
	if l.failed || l.held() {
		return nil
	}
	return l.incoming
}

// acceptable is nil while a request is being written.
func (l *loop) acceptable() <-chan *call {
	if l.failed || l.writing {
		return nil
	}
	return l.requests
}

func (l *loop) accept(k *call) {
	if l.lost != nil || l.closes == nil {
		l.finish(k, nil, l.why())
		closeAll(k.files)
		return
	}
	if k.id == 0 {
		l.finish(k, nil, nil) // there will be no answer
	} else {
		l.calls[k.id] = k
		l.count(k, 1)
	}
	l.send(k)
}

func (l *loop) send(k *call) {
	l.writing = true
	l.writes <- k
}

// wrote hears of the writer. An error that is not the connection's is the call's.
func (l *loop) wrote(w wrote) {
	l.writing = false
	switch {
	case w.err == nil:
	case w.refused:
		l.forget(w.call)
		l.finish(w.call, nil, w.err)
	case l.lost == nil:
		l.lost = fmt.Errorf("%w: %w", ErrLost, w.err) // the reader will hear of it too
		l.hangUp()
	}
	if len(l.kills) > 0 && l.lost == nil && l.closes != nil {
		l.send(l.kills[0])
		l.kills = l.kills[1:]
	} else if l.closes == nil {
		l.hangUp()
	}
}

// wait counts a Wait. One that arrives just after the job's end is not counted: nothing would take it off again, and a
// slow reader of events would lose them for a Wait that nothing holds up.
func (l *loop) wait(j *job) {
	if l.jobs[j.spawned.Job] == j {
		j.waiters++
		l.waiting++
	}
}

// leave is for one who has waited for something else than the end.
func (l *loop) leave(j *job) {
	if l.jobs[j.spawned.Job] == j {
		j.waiters--
		l.waiting--
	}
}

func (l *loop) abandon(k *call) {
	if l.calls[k.id] == k {
		k.abandoned = true
		l.count(k, -1)
	}
}

// count keeps the books of calls that have a waiting caller.
func (l *loop) count(k *call, n int) {
	if k.slow {
		l.waiting += n
	} else {
		l.soon += n
	}
}

func (l *loop) forget(k *call) {
	delete(l.calls, k.id)
	if !k.abandoned {
		l.count(k, -1)
	}
}

func (l *loop) finish(k *call, result json.RawMessage, err error) {
	k.result, k.err = result, err
	close(k.done)
}

// receive takes what the reader has read.
func (l *loop) receive(m message) {
	switch {
	case m.err != nil:
		l.fail(m.err)
	case m.answer:
		l.answer(m)
	case m.event.Method != "":
		if !l.notice(m.event) {
			l.emit(m.event)
		}
	}
}

func (l *loop) answer(m message) {
	k := l.calls[m.id]
	if k == nil {
		return // not ours, or one too many
	}
	l.forget(k)
	if m.refusal != nil {
		l.finish(k, nil, &CallError{Method: k.method, Err: m.refusal})
		return
	}
	if k.spawns != nil {
		if err := protocol.Unmarshal(m.result, &k.spawns.spawned); err != nil {
			l.finish(k, nil, err)
			l.fail(fmt.Errorf("reading the answer to spawn: %w", err))
			return
		}
		l.started(k)
	}
	if j := k.leaves; j != nil && l.jobs[j.spawned.Job] == j {
		l.endJob(j, nil, ErrDetached)
	}
	l.finish(k, m.result, nil)
}

// started enters a job, before anything else is heard of it.
func (l *loop) started(k *call) {
	l.jobs[k.spawns.spawned.Job] = k.spawns
	if !k.abandoned {
		return
	}
	line, err := encode(0, protocol.MethodKill, protocol.KillParams{Job: k.spawns.spawned.Job})
	if err != nil {
		panic(err)
	}
	if kill := (&call{line: line}); l.writing {
		l.kills = append(l.kills, kill)
	} else if l.lost == nil && l.closes != nil {
		l.send(kill)
	}
}

// notice takes from an event what concerns the state of its job. It says whether that is all
// of it: output that the owner reads is no event.
func (l *loop) notice(e Event) (taken bool) {
	j := l.jobs[e.Job]
	if j == nil {
		return false
	}
	switch p := e.Params.(type) {
	case *protocol.JobOutput:
		return j.take(p)
	case *protocol.JobReady:
		if j.readiness == nil {
			j.readiness = p
			close(j.ready)
		}
	case *protocol.JobEnded:
		l.endJob(j, p, nil)
	}
	return false
}

func (l *loop) endJob(j *job, last *protocol.JobEnded, err error) {
	delete(l.jobs, j.spawned.Job)
	l.waiting -= j.waiters
	j.end(last, err)
}
