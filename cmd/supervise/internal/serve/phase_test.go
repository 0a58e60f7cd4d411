package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/containment"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/supervisor"
	"github.com/seed-c1490a04/supervise/cmd/supervise/internal/wire"
	"github.com/seed-c1490a04/supervise/protocol"
)

// newServer makes a server without a loop, and the owner's end of its connection.
func newServer(t testing.TB) (v *server, owner int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	v = &server{o: &commandLine{}, methods: methods(), jobs: map[int]*job{}, dirs: map[string]*job{}, version: "test"}
	v.place, v.s = containment.Fallback("as the test wants it"), &supervisor.Supervisor{}
	if v.conn, err = wire.NewConn(pair[1], pair[1], protocol.MaxRequest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.conn.Close()
		unix.Close(pair[0])
	})
	return v, pair[0]
}

// A step is what the owner says, and what comes of it.
type step struct {
	say    string
	phase  phase
	answer string // begins one of the answers; "": none
}

const (
	sayHello = `{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}`
	sayEnd   = "the end of input"
)

func say(id int, method string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q}`, id, method)
}

func refusal(id, code int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":%d,`, id, code)
}

// TestPhases: the conversation only goes on.
func TestPhases(t *testing.T) {
	tests := map[string][]step{
		"end before hello":         {{sayEnd, over, ""}},
		"end after hello":          {{sayHello, serving, `{"jsonrpc":"2.0","id":1,"result":{"version":1`}, {sayEnd, over, ""}},
		"a request before hello":   {{say(1, "list"), greeting, refusal(1, protocol.CodeHelloFirst)}, {sayHello, serving, `{"jsonrpc":"2.0","id":1,"result"`}},
		"shutdown before hello":    {{say(1, "shutdown"), greeting, refusal(1, protocol.CodeHelloFirst)}, {sayEnd, over, ""}},
		"hello twice":              {{sayHello, serving, `{"jsonrpc":"2.0","id":1,"result"`}, {strings.Replace(sayHello, ":1,", ":2,", 1), serving, refusal(2, protocol.CodeHelloFirst)}},
		"no version":               {{`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[99]}}`, greeting, refusal(1, protocol.CodeHelloFirst)}},
		"shutdown":                 {{sayHello, serving, `{"jsonrpc":"2.0","id":1,"result"`}, {say(2, "shutdown"), over, `{"jsonrpc":"2.0","id":2,"result":{}}`}},
		"nothing is read after it": {{sayHello, serving, `{"jsonrpc":"2.0","id":1,"result"`}, {say(2, "shutdown") + "\n" + say(3, "list"), over, `{"jsonrpc":"2.0","id":2,"result":{}}`}},
		"rubbish changes no phase": {{"rubbish", greeting, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,`}, {sayHello, serving, `{"jsonrpc":"2.0","id":1,"result"`}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			v, owner := newServer(t)
			for _, step := range steps {
				before := v.phase
				if step.say == sayEnd {
					unix.Shutdown(owner, unix.SHUT_WR)
				} else if _, err := unix.Write(owner, []byte(step.say+"\n")); err != nil {
					t.Fatal(err)
				}
				goesOn := v.read()
				if v.phase != step.phase || v.phase < before || goesOn != (v.phase < over) {
					t.Errorf("%s: phase %d after %d, want %d; goes on: %t", step.say, v.phase, before, step.phase, goesOn)
				}
				v.conn.Flush()
				if got := answers(owner); step.answer == "" && len(got) > 0 || step.answer != "" && (len(got) != 1 || !strings.HasPrefix(got[0], step.answer)) {
					t.Errorf("%s: answered %q, want %q", step.say, got, step.answer)
				}
			}
			if v.more() != (v.phase < over) {
				t.Errorf("more %t in phase %d", v.more(), v.phase)
			}
		})
	}
}

// answers are the lines that have come.
func answers(owner int) []string {
	b := make([]byte, 1<<20)
	n, _, err := unix.Recvfrom(owner, b, unix.MSG_DONTWAIT)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b[:n]), "\n"), "\n")
}

// TestClosing: with a job left, shutdown waits for its end, a second one as well, and no
// job is started any more; the end of input is the end of that, too.
func TestClosing(t *testing.T) {
	for _, atEnd := range []bool{false, true} {
		v, owner := newServer(t)
		v.phase = serving
		j := &job{v: v, number: 1, loop: &supervisor.Job{}}
		v.jobs[1] = j
		v.phase = closing // as shutdown leaves it, while a job is being ended
		v.shutters = []json.RawMessage{json.RawMessage("5"), json.RawMessage("6")}
		unix.Write(owner, []byte(`{"jsonrpc":"2.0","id":7,"method":"spawn","params":{"argv":["true"]}}`+"\n"))
		v.read()
		v.conn.Flush()
		if got := answers(owner); v.phase != closing || len(got) != 1 || !strings.HasPrefix(got[0], refusal(7, protocol.CodeShuttingDown)) {
			t.Errorf("phase %d, %q", v.phase, got)
		}
		if atEnd {
			unix.Shutdown(owner, unix.SHUT_WR)
			if v.read() || v.phase != over {
				t.Errorf("phase %d after the end of input", v.phase)
			}
		}
		if v.answerShutters(); len(v.shutters) != 2 {
			t.Error("answered while a job lives")
		}
		delete(v.jobs, 1)
		v.answerShutters()
		v.conn.Flush()
		if got := answers(owner); v.phase != over || !slices.Equal(got, []string{`{"jsonrpc":"2.0","id":5,"result":{}}`, `{"jsonrpc":"2.0","id":6,"result":{}}`}) {
			t.Errorf("phase %d, %q", v.phase, got)
		}
	}
}

// TestParting: an owner that takes no answers is done with at its end of input; what it
// said before is answered when it reads.
func TestParting(t *testing.T) {
	v, owner := newServer(t)
	v.phase = serving
	for !v.blocked() {
		v.conn.Send(bytes.Repeat([]byte{'x'}, 1<<16), nil)
		v.conn.Flush()
	}
	unix.Shutdown(owner, unix.SHUT_WR)
	if !v.read() || v.phase != parting || !v.more() {
		t.Errorf("phase %d", v.phase)
	}
	if v.wantsInput() != 0 {
		t.Error("the end of input is waited for twice")
	}
	for v.blocked() {
		answers(owner)
		v.conn.Flush()
	}
	if v.read() || v.phase != over {
		t.Errorf("phase %d when all is read", v.phase)
	}
}

// TestMoreToSay: a conversation that is over goes on for as long as something waits for room,
// also when there is room by now; an owner that has gone is told nothing.
func TestMoreToSay(t *testing.T) {
	v, _ := newServer(t)
	v.phase, v.waiting = over, append(v.waiting, v.answerShutters)
	if v.blocked() || !v.more() {
		t.Errorf("blocked %t, more %t", v.blocked(), v.more())
	}
	if !v.flush() || v.more() {
		t.Error("there is more when all is said")
	}
	v.waiting = append(v.waiting, v.answerShutters)
	if v.conn.HangUp(); v.more() {
		t.Error("there is more for an owner that has gone")
	}
}
