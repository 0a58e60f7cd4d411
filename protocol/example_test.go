package protocol_test

import (
	"encoding/json"
	"fmt"
	"log"

	"github.com/seed-c1490a04/supervise/protocol"
)

// The owner asks the supervisor to send SIGTERM to two of its children, in one write.
func ExampleAppendRequest() {
	var b []byte
	b = protocol.AppendRequest(b, protocol.Request{PID: 70, Signal: 15})
	b = protocol.AppendRequest(b, protocol.Request{PID: 71, Signal: 15})
	fmt.Println(len(b), "bytes")
	// Output:
	// 16 bytes
}

// The decoder keeps an unfinished request until the rest of it has come.
func ExampleRequestDecoder() {
	b := protocol.AppendRequest(nil, protocol.Request{PID: 70, Signal: 9})
	var d protocol.RequestDecoder
	for _, piece := range [][]byte{b[:3], b[3:]} {
		fmt.Println(d.Decode(piece))
	}
	fmt.Println(d.Close())
	// Output:
	// []
	// [{70 9}]
	// <nil>
}

// The owner reads an event from the supervisor. Here it makes one itself.
func ExampleParseEvent() {
	message := protocol.NewEvent(protocol.Exited, 70, 1000, 3)
	e, err := protocol.ParseEvent(message[:])
	if err != nil {
		log.Fatal(err)
	}
	if e.Code() == protocol.Exited {
		fmt.Printf("process %d exited with %d\n", e.PID(), e.Status())
	}
	// Output:
	// process 70 exited with 3
}

// An owner of "supervise serve" writes a request as one line.
func ExampleSpawnParams() {
	params, err := json.Marshal(protocol.SpawnParams{
		Argv:    []string{"make", "-j8"},
		Stdio:   []protocol.Stdio{{Null: true}, {Capture: &protocol.CaptureSpec{Limit: 65536}}, {Dup: new(1)}},
		Limits:  map[string]protocol.LimitValue{"memory-max": "1G"},
		Timeout: 60,
	})
	if err != nil {
		log.Fatal(err)
	}
	line, err := json.Marshal(protocol.Message{JSONRPC: "2.0", ID: json.RawMessage("2"), Method: protocol.MethodSpawn, Params: params})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
	// Output:
	// {"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["make","-j8"],"stdio":[{"null":true},{"capture":{"limit":65536}},{"dup":1}],"limits":{"memory-max":"1G"},"timeout":60}}
}

// An owner reads a notification: the line first, then the parameters that its method has.
func ExampleMessage() {
	line := `{"jsonrpc":"2.0","method":"output","params":{"job":1,"fd":1,"data":"aGkK"}}`
	var m protocol.Message
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		log.Fatal(err)
	}
	switch m.Method {
	case protocol.NoteOutput:
		var p protocol.JobOutput
		if err := json.Unmarshal(m.Params, &p); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("job %d wrote %q\n", p.Job, p.Data)
	}
	// Output:
	// job 1 wrote "hi\n"
}

// A program reads the record that "supervise run --record" has written. What is not known is null there.
func ExampleRecord() {
	text := `{"schema":"supervise.record/1","cause":"timeout","wall_s":60.01,"exit":{"code":null,"signal":"SIGTERM","core":false},
		"memory":{"peak_bytes":null}}`
	var r protocol.Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Cause, *r.Exit.Signal, r.Memory.PeakBytes == nil)
	// Output:
	// timeout SIGTERM true
}
