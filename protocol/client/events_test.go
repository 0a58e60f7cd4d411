package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-c1490a04/supervise/protocol"
)

func samples(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `< {"jsonrpc":"2.0","method":"sample","params":{"job":7,"wall_s":%d}}`+"\n", i)
	}
	return b.String()
}

// TestEvents: all come, in order, and the channel is closed at the end.
func TestEvents(t *testing.T) {
	_, c := converse(t, Options{Events: 1}, lines(spawnTrue, spawned, startedNote, samples(100), endedNote, "close"))
	cmd := c.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range c.Events() {
		got = append(got, e.Method)
		if s, ok := e.Params.(*protocol.JobSample); ok && int(s.WallS) != len(got)-2 {
			t.Errorf("event %d is sample %v", len(got), s.WallS)
		}
		if e.Job != cmd.Job() {
			t.Errorf("%s is about job %d", e.Method, e.Job)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if len(got) != 102 || got[0] != protocol.NoteStarted || got[101] != protocol.NoteEnded {
		t.Errorf("got %d events: %v", len(got), got)
	}
}

// TestEventsHoldTheSupervisor: what is not read stays on the wire, more than the wire holds makes the supervisor wait, and
// nothing is lost. The supervisor tells when the request is written, and not before: see held.
func TestEventsHoldTheSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5000 // more than the reader's buffer
		f, c := converseInBubble(t, Options{Events: 10}, lines(spawnTrue, spawned, "wait", startedNote, samples(many), "close"))
		if err := c.Command("true").Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(f.Go)
		first := <-c.Events()
		synctest.Wait()
		select {
		case <-f.ended:
			t.Error("all of it was taken off the supervisor's hands")
		default:
		}
		n := 1
		for range c.Events() {
			n++
		}
		if n != many+1 || first.Method != protocol.NoteStarted {
			t.Errorf("got %d events, the first is %s", n, first.Method)
		}
	})
}

// TestCallWithUnreadEvents: the reader of events may make calls, whatever is in between.
func TestCallWithUnreadEvents(t *testing.T) {
	_, c := converse(t, Options{Events: 1}, lines(spawnTrue, spawned, startedNote, samples(100),
		`> {"jsonrpc":"2.0","id":3,"method":"kill","params":{"job":7}}`, samples(100), `< {"jsonrpc":"2.0","id":3,"result":{}}`, endedNote, "close"))
	cmd := c.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range c.Events() {
		if n++; n == 1 {
			if err := cmd.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if n != 202 {
		t.Errorf("got %d events", n)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestWaitWithUnreadEvents: the Wait is held up, until it has been for too long. The supervisor tells when the request is
// written, and not before: until then all is read, and no Wait held up.
func TestWaitWithUnreadEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := converseInBubble(t, Options{Events: 1}, lines(spawnTrue, spawned, "wait", startedNote, samples(100), endedNote))
		cmd := c.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(f.Go)
		begin := time.Now()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("it was held up for %v", got)
		}
		var got []string
		for len(got) < 3 {
			got = append(got, (<-c.Events()).Method)
		}
		if want := []string{protocol.NoteStarted, protocol.NoteSample, EventsStopped}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestWaitBeforeTheRequestIsWritten: all is read while a request is being written, so a Wait may return without any event
// read. None is lost then, and none says that they have stopped.
func TestWaitBeforeTheRequestIsWritten(t *testing.T) {
	l := newLoop(&Conn{events: make(chan Event, 1), closing: make(chan struct{})}, time.Minute)
	j := &job{ended: make(chan struct{})}
	l.jobs[0], l.writing = j, true
	l.wait(j)
	for _, line := range strings.Split(strings.TrimSpace(samples(100))+"\n"+endedNote, "\n") {
		m, err := decode([]byte(strings.ReplaceAll(line[2:], `"job":7`, `"job":0`)))
		if err != nil {
			t.Fatal(err)
		}
		if l.alarm() != nil || l.readable() == nil {
			t.Error("it is held up")
		}
		l.receive(m)
	}
	<-j.ended
	if len(l.spill) != 100 || l.waiting != 0 {
		t.Errorf("%d events are kept, %d wait", len(l.spill), l.waiting)
	}
}

// TestWaitAfterTheEnd: a Wait that meets the end of its job counts for nothing.
func TestWaitAfterTheEnd(t *testing.T) {
	l := newLoop(&Conn{events: make(chan Event, 1), closing: make(chan struct{})}, time.Minute)
	j := &job{ended: make(chan struct{})}
	l.jobs[0] = j
	l.endJob(j, nil, nil)
	l.wait(j)
	if l.waiting != 0 {
		t.Errorf("%d wait", l.waiting)
	}
}

// TestPatience: it begins when a Wait is held up, and anew with every event that is
// read.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(&Conn{events: make(chan Event, 1), closing: make(chan struct{})}, time.Minute)
		l.emit(Event{Job: 1})
		l.emit(Event{Job: 2})
		if !l.held() || l.alarm() != nil {
			t.Error("no Wait waits: it is to be held, and no time runs")
		}
		l.waiting++
		first := l.alarm()
		time.Sleep(59 * time.Second)
		l.calm() // an event was read
		l.emit(Event{Job: 3})
		second := l.alarm()
		if second == first {
			t.Error("the time has not begun anew")
		}
		time.Sleep(59 * time.Second)
		select {
		case <-second:
			t.Error("it is over too early")
		default:
		}
		l.soon++
		if l.alarm() != nil || l.held() {
			t.Error("while a call waits nothing is held")
		}
		l.soon--
		time.Sleep(time.Hour)
		begin := time.Now()
		<-l.alarm()
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("it took %v", got)
		}
	})
}

// TestCloseWithUnreadEvents: Close does not wait for a reader.
func TestCloseWithUnreadEvents(t *testing.T) {
	_, c := converse(t, Options{Events: 2}, lines(spawnTrue, spawned, startedNote, samples(100)))
	if err := c.Command("true").Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	n := 0
	for range c.Events() {
		n++
	}
	if n != 2 {
		t.Errorf("%d events were kept, there was room for 2", n)
	}
}

// TestLostWithUnreadEvents: they can be read still.
func TestLostWithUnreadEvents(t *testing.T) {
	_, c := converse(t, Options{Events: 1}, lines(spawnTrue, spawned, startedNote, samples(1), "close"))
	cmd := c.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-c.Events()
	<-c.Events()
	if e, ok := <-c.Events(); ok {
		t.Errorf("one more: %+v", e)
	}
	<-c.Done()
	if c.Err() == nil {
		t.Error("there is no error")
	}
}
