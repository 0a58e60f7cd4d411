package main

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol/client/examples/internal/rerun"
)

func TestMain(m *testing.M) { rerun.Main(m, main) }

func TestTerminal(t *testing.T) {
	status, out, bad := rerun.Run(t, "typed\n", "sh", "-c", `stty -echo; test -t 0 && stty size; while read x; do echo "got $x"; done; exit 7`)
	if status != 7 || !strings.Contains(out, "24 80\r\n") || !strings.Contains(out, "got typed\r\n") {
		t.Errorf("%d, %q, %q", status, out, bad)
	}
	status, _, bad = rerun.Run(t, "", "no-such-command")
	if status != 125 || !strings.Contains(bad, "no-such-command") {
		t.Errorf("%d, %q", status, bad)
	}
}
