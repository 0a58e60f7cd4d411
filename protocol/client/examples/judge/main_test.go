package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-c1490a04/supervise/protocol/client"
	"github.com/seed-c1490a04/supervise/protocol/client/clienttest"
	"github.com/seed-c1490a04/supervise/protocol/client/examples/internal/rerun"
)

func TestMain(m *testing.M) { rerun.Main(m, main) }

// writeTests makes tests of inputs, all with the answer 3.
func writeTests(t *testing.T, inputs ...string) (dir string) {
	dir = t.TempDir()
	for i, in := range inputs {
		name := filepath.Join(dir, string(rune('a'+i)))
		if os.WriteFile(name+".in", []byte(in), 0o666) != nil || os.WriteFile(name+".out", []byte("3\n"), 0o666) != nil {
			t.Fatal("writing tests")
		}
	}
	return dir
}

func TestJudge(t *testing.T) {
	dir := writeTests(t, "echo 3", "echo 4", "exit 3", "kill -SEGV $$", "sleep 1000", "head -c 2000000 /dev/zero")
	status, out, bad := rerun.Run(t, "", "-time", "4s", dir, "sh")
	want := "a accepted\nb wrong answer\nc runtime error: exit status 3\nd runtime error: signal: SIGSEGV\n" +
		"e time limit exceeded\nf output limit exceeded\n"
	if status != 0 || out != want {
		t.Errorf("%d, %q, %q", status, out, bad)
	}
	status, _, bad = rerun.Run(t, "", dir, "./no-such-solution")
	if status != 1 || !strings.Contains(bad, "no-such-solution") {
		t.Errorf("%d, %q", status, bad)
	}
}

// TestVerdicts: without processes, and without waiting for the clock.
func TestVerdicts(t *testing.T) {
	dir := writeTests(t, "3", "4", "for ever", "crash")
	synctest.Test(t, func(t *testing.T) {
		srv := clienttest.NewServer()
		srv.Handle("./solution", func(p *clienttest.Process) clienttest.Exit {
			var in bytes.Buffer
			in.ReadFrom(p.Stdin)
			switch in.String() {
			case "for ever":
				return clienttest.Sleep(p)
			case "crash":
				return clienttest.Signaled(syscall.SIGSEGV)
			}
			in.WriteTo(p.Stdout)
			return 0
		})
		conn, err := srv.Connect(t.Context(), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = judge{conn, time.Hour, "1G"}.all(&out, dir, []string{"./solution"})
		conn.Close()
		srv.Wait()
		want := "a accepted\nb wrong answer\nc time limit exceeded\nd runtime error: signal: SIGSEGV\n"
		if err != nil || out.String() != want {
			t.Errorf("%q, %v", out.String(), err)
		}
	})
}
