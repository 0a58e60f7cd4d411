package protocol

import (
	"encoding/json"
	"testing"
)

func BenchmarkAppendRequest(b *testing.B) {
	b.ReportAllocs()
	var buffer []byte
	for b.Loop() {
		buffer = AppendRequest(buffer[:0], Request{PID: 4711, Signal: 15})
	}
}

// BenchmarkRequestDecoder decodes 512 requests, which is what a pipe's page holds.
func BenchmarkRequestDecoder(b *testing.B) {
	var stream []byte
	for pid := range int32(512) {
		stream = AppendRequest(stream, Request{PID: pid, Signal: 15})
	}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	var d RequestDecoder
	for b.Loop() {
		if requests := d.Decode(stream); len(requests) != 512 {
			b.Fatal(len(requests))
		}
	}
}

func BenchmarkNewEvent(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewEvent(Exited, 4711, 1000, 3)
	}
}

func BenchmarkParseEvent(b *testing.B) {
	event := NewEvent(Exited, 4711, 1000, 3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEvent(event[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseSpawn reads a request for a job: the line, then its parameters, as the server does.
func BenchmarkParseSpawn(b *testing.B) {
	line := []byte(`{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["make","-j8","all"],"cwd":"/src","env_update":{"A":"1","B":null},` +
		`"stdio":["null",{"fd":0},{"capture":{"limit":65536}}],"fds":1,"limits":{"memory-max":"1G","cpus":1.5},"timeout":3600}}`)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		var m Message
		var p SpawnParams
		if err := json.Unmarshal(line, &m); err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(m.Params, &p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecordEncode(b *testing.B) {
	r := fullRecord()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecordParse(b *testing.B) {
	text, err := json.Marshal(fullRecord())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			b.Fatal(err)
		}
	}
}
