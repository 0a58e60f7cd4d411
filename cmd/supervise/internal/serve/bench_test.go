package serve

import (
	"encoding/json"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/protocol"
)

const spawnLine = `{"jsonrpc":"2.0","id":17,"method":"spawn","params":{"argv":["/bin/true","a","b"],"name":"job","tags":{"build":"17"},` +
	`"limits":{"memory-max":"1G","pids-max":100},"stdio":["null",{"capture":{"limit":65536}},{"capture":{"limit":65536}}],"timeout":60}}`

// BenchmarkRequest parses a line, and the parameters in it.
func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(spawnLine)))
	v := &server{}
	for b.Loop() {
		r := &request{v: v}
		var p protocol.SpawnParams
		if err := r.parse([]byte(spawnLine)); err != nil {
			b.Fatal(err)
		}
		if err := r.params(&p); err != nil || len(p.Argv) != 3 {
			b.Fatal(p, err)
		}
	}
}

// BenchmarkAnswer encodes the answer to spawn, and sends it to an owner that reads.
func BenchmarkAnswer(b *testing.B) {
	v, owner := newServer(b)
	path := "/sys/fs/cgroup/jobs-0123456789abcdef/job-17"
	result := &protocol.SpawnResult{Job: 17, PID: 4711, Cgroup: &path, Limits: []protocol.Limit{}, Unenforced: []protocol.Unenforced{}}
	id := json.RawMessage("17")
	buf := make([]byte, 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		v.answer(id, result, nil, nil)
		v.conn.Flush()
		if n, err := unix.Read(owner, buf); n < 10 || err != nil {
			b.Fatal(n, err)
		}
	}
}
