package main

import (
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol/client/examples/internal/rerun"
)

func TestMain(m *testing.M) { rerun.Main(m, main) }

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		args   string
		status int
		out    string // of both
	}{
		{"-best-effort -pids 50 -- cat", 0, "input"},
		{"-- sh -c exit\t3", 3, "limits: exited after"},
		{"-- sh -c setsid\tsleep\t1000\t&", 0, "1 processes left behind and ended"},
		{"-time 50ms -- sleep 1000", 125, "limits: timeout (signal: SIGTERM)"},
		{"-- no-such-command", 125, "no-such-command"},
		{"", 125, "usage:"},
	} {
		var args []string
		for _, a := range strings.Fields(strings.ReplaceAll(tt.args, "\t", "\x00")) {
			args = append(args, strings.ReplaceAll(a, "\x00", " "))
		}
		status, out, bad := rerun.Run(t, "input", args...)
		if status != tt.status || !strings.Contains(out+bad, tt.out) {
			t.Errorf("%s: %d, %q, %q", tt.args, status, out, bad)
		}
	}
}
