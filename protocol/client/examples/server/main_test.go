package main

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol/client/examples/internal/rerun"
)

func TestMain(m *testing.M) { rerun.Main(m, main) }

// httpd says that it is ready when its file is there, and takes SIGTERM.
const httpd = `exec python3 -c '
import os, signal, socket, sys
open("FILE", "w").write("served")
signal.signal(signal.SIGTERM, lambda *a: sys.exit())
print("a line of the log", flush=True)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"STATUS=listening\nREADY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])
signal.pause()'`

func TestServer(t *testing.T) {
	file := t.TempDir() + "/file"
	server := strings.Replace(httpd, "FILE", file, 1)
	status, out, bad := rerun.Run(t, "", server, "cat "+file)
	if status != 0 || out != "served" || !strings.Contains(bad, "is ready: listening") {
		t.Errorf("%d, %q, %q", status, out, bad)
	}
	status, _, bad = rerun.Run(t, "", server, "exit 4")
	if status != 1 || !strings.Contains(bad, "exit status 4") || !strings.Contains(bad, "a line of the log") {
		t.Errorf("%d, %q", status, bad)
	}
	status, _, bad = rerun.Run(t, "", "echo no port; exit 5", "true")
	if status != 1 || !strings.Contains(bad, "was not ready") || !strings.Contains(bad, "no port") {
		t.Errorf("%d, %q", status, bad)
	}
}
